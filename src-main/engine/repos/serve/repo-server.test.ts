import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RepoAccess } from '../../../../src-shared/repos/repo-access.ts';
import { runChecked } from '../../core/run.ts';
import { until } from '../../core/until.ts';
import { repoServer } from './repo-server.ts';

const resourcesDir = join(import.meta.dirname, '../../../../resources');
const address = '127.0.0.1';
let base = '';
let folder = '';
let log = '';
let server: ChildProcess;
let port = 0;

async function startServer(more: { readonly logLimit?: number } = {}): Promise<void> {
  const program = repoServer(resourcesDir, { folder, address, port: 0, log, vms: { [address]: 'web' }, ...more });
  const [command = '', ...args] = program.argv;
  server = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...program.env } });
  const [line] = (await once(createInterface({ input: server.stdout as NodeJS.ReadableStream }), 'line')) as [string];
  const report = program.report(line);
  if (report === undefined || 'error' in report) throw new Error(line);
  port = report.port;
}

async function endServer(): Promise<void> {
  const ended = once(server, 'exit');
  server.kill();
  await ended;
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'lago-serve-'));
  folder = join(base, 'repo');
  log = join(base, 'access.jsonl');
  await startServer();
});
afterAll(async () => {
  await endServer();
  rmSync(base, { recursive: true });
});
beforeEach(() => {
  mkdirSync(join(folder, 'el9/repodata'), { recursive: true });
  writeFileSync(join(folder, 'el9/a.rpm'), '0123456789');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `work` with a server of its own. */
async function withAnother(work: () => Promise<void>, more: { readonly log?: string; readonly logLimit?: number } = {}): Promise<void> {
  const usual = { server, port, log };
  try {
    log = more.log ?? join(base, `${randomUUID()}.jsonl`);
    await startServer(more.logLimit === undefined ? {} : { logLimit: more.logLimit });
    await work();
  } finally {
    await endServer();
    ({ server, port, log } = usual);
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(path: string, headers: Record<string, string> = {}, method = 'GET', agent?: Agent): Promise<Answer> {
  const asked = request({ host: address, port, path, method, headers, agent: agent ?? false });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}

/** The lines of the log, once there are that many. */
async function accesses(count: number): Promise<readonly RepoAccess[]> {
  return await until(
    async () => {
      const lines = readFileSync(log, { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1);
      return lines.length >= count ? lines.map((line) => RepoAccess.parse(JSON.parse(line))) : undefined;
    },
    { everyMs: 5, timeoutMs: 10_000, failure: () => new Error('it is not logged') as never },
  );
}

describe('files', () => {
  test('come with what a client wants to know', async () => {
    const { status, headers, body } = await ask('/el9/a.rpm');
    expect({ status, body }).toEqual({ status: 200, body: '0123456789' });
    expect(headers).toMatchObject({ 'content-length': '10', 'content-type': 'application/x-rpm', 'accept-ranges': 'bytes' });
    const head = await ask('/el9/a.rpm', {}, 'HEAD');
    expect(head).toMatchObject({ status: 200, body: '', headers: { 'content-length': '10', etag: headers.etag } });
  });

  test.each([
    ['b.deb', 'application/vnd.debian.binary-package'],
    ['repomd.xml', 'application/xml'],
    ['primary.xml.gz', 'application/gzip'],
    ['primary.xml.zst', 'application/zstd'],
    ['primary.xml.xz', 'application/x-xz'],
    ['RPM-GPG-KEY.asc', 'text/plain; charset=utf-8'],
    ['Packages', 'text/plain; charset=utf-8'],
    ['Release', 'text/plain; charset=utf-8'],
    ['whatever', 'application/octet-stream'],
  ])('%s is %s', async (name, type) => {
    writeFileSync(join(folder, name), 'x');
    expect((await ask(`/${name}`)).headers['content-type']).toBe(type);
  });

  test('are not sent again when they are known', async () => {
    const path = join(folder, 'el9/a.rpm');
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    const { etag = '', 'last-modified': modified = '' } = (await ask('/el9/a.rpm')).headers;
    expect(modified).toBe('Tue, 14 Nov 2023 22:13:20 GMT');
    for (const headers of [{ 'If-None-Match': etag }, { 'If-None-Match': `"x", W/${etag}` }, { 'If-Modified-Since': modified }]) {
      expect(await ask('/el9/a.rpm', headers)).toMatchObject({ status: 304, body: '', headers: { etag } });
    }
    expect((await ask('/el9/a.rpm', { 'If-None-Match': '"x"', 'If-Modified-Since': modified })).status).toBe(200);
    expect((await ask('/el9/a.rpm', { 'If-Modified-Since': 'Tue, 14 Nov 2023 22:13:19 GMT' })).status).toBe(200);
  });

  test.each([
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['bytes=10-', 416, 'This file has 10 bytes.\n', 'bytes */10'],
    ['bytes=-0', 416, 'This file has 10 bytes.\n', 'bytes */10'],
    ['bytes=4-2', 200, '0123456789', undefined],
    ['bytes=-', 200, '0123456789', undefined],
    ['bytes=0-1,3-4', 200, '0123456789', undefined],
    ['lines=1-2', 200, '0123456789', undefined],
  ])('range %s', async (range, status, body, contentRange) => {
    const found = await ask('/el9/a.rpm', { Range: range });
    expect({ status: found.status, body: found.body, range: found.headers['content-range'] }).toEqual({
      status,
      body,
      range: contentRange,
    });
  });

  test('a part is only given of the same file as before', async () => {
    const { etag = '', 'last-modified': modified = '' } = (await ask('/el9/a.rpm')).headers;
    const status = async (condition: string): Promise<number> =>
      (await ask('/el9/a.rpm', { Range: 'bytes=2-', 'If-Range': condition })).status;
    expect(await status(etag)).toBe(206);
    expect(await status(modified)).toBe(206);
    expect(await status('"other"')).toBe(200);
    writeFileSync(join(folder, 'el9/new'), '9876543210');
    renameSync(join(folder, 'el9/new'), join(folder, 'el9/a.rpm'));
    expect(await status(etag)).toBe(200);
  });

  test('a file that is replaced while it is sent is sent as it was', async () => {
    const size = 64 * 1024 * 1024;
    const path = join(folder, 'big.rpm');
    writeFileSync(path, Buffer.alloc(size, 'a'));
    const asked = request({ host: address, port, path: '/big.rpm', agent: false });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    // Nothing is read here yet, so that most of it is still to be sent.
    writeFileSync(join(folder, 'new'), Buffer.alloc(size, 'b'));
    renameSync(join(folder, 'new'), path);
    let [length, others] = [0, 0];
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (!chunk.equals(Buffer.alloc(chunk.length, 'a'))) others++;
    }
    expect({ length, others }).toEqual({ length: size, others: 0 });
  });

  test('one that is cut off while it is sent is not passed off as whole', async () => {
    const path = join(folder, 'big.rpm');
    writeFileSync(path, Buffer.alloc(64 * 1024 * 1024));
    const asked = request({ host: address, port, path: '/big.rpm', agent: false });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    writeFileSync(path, '');
    await expect(text(response)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('a client that goes away leaves nothing open', async () => {
    writeFileSync(join(folder, 'big.rpm'), Buffer.alloc(64 * 1024 * 1024));
    const asked = request({ host: address, port, path: '/big.rpm', agent: false });
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    response.destroy();
    const open = (): readonly string[] =>
      readdirSync(`/proc/${server.pid}/fd`).flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/${server.pid}/fd/${fd}`)];
        } catch {
          return []; // closed meanwhile
        }
      });
    await until(async () => (open().includes(join(folder, 'big.rpm')) ? undefined : true), {
      everyMs: 5,
      timeoutMs: 10_000,
      failure: () => new Error(open().join()) as never,
    });
  });

  test('many are asked for over few connections', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    for (let count = 0; count < 200; count++) writeFileSync(join(folder, `p${count}`), `content ${count}`);
    const bodies = await Promise.all(Array.from({ length: 200 }, async (_, count) => (await ask(`/p${count}`, {}, 'GET', agent)).body));
    expect(bodies).toEqual(bodies.map((_, count) => `content ${count}`));
    expect(Object.values(agent.freeSockets).flat().length).toBeLessThanOrEqual(4);
    agent.destroy();
  });
});

describe('folders', () => {
  test('are listed, and nothing in it is code', async () => {
    const evil = '<img src=x onerror=alert(1)>&"javascript:.rpm';
    writeFileSync(join(folder, evil), '');
    writeFileSync(join(folder, '.hidden'), '');
    symlinkSync('/etc/passwd', join(folder, 'passwd'));
    const { status, headers, body } = await ask('/');
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'x-content-type-options': 'nosniff' });
    expect(body).toContain('<a href="./el9/">el9/</a>');
    expect(body).not.toMatch(/<img|hidden|passwd/);
    const [link = ''] = [...body.matchAll(/href="\.(\/[^"]*)"/g)].map((match) => match[1]).filter((name) => name !== '/el9/');
    expect((await ask(link)).status).toBe(200);
  });

  test('have a stroke at their end', async () => {
    expect(await ask('/el9')).toMatchObject({ status: 301, headers: { location: '/el9/' } });
    expect((await ask('//el9')).headers.location).toBe('/el9/');
    // As apt asks for the index of a folder.
    expect((await ask('/el9/./a.rpm')).body).toBe('0123456789');
    expect((await ask('/el9/.')).body).toContain('a.rpm');
    expect((await ask('/el9/a.rpm/')).status).toBe(404);
  });

  test('one that is not there yet is empty, and then it is there', async () => {
    rmSync(folder, { recursive: true });
    expect((await ask('/')).status).toBe(404);
    mkdirSync(folder);
    expect((await ask('/')).status).toBe(200);
  });
});

describe('outside', () => {
  beforeEach(() => {
    writeFileSync(join(base, 'secret'), 'secret');
    mkdirSync(join(base, 'repository'), { recursive: true });
    writeFileSync(join(base, 'repository/secret'), 'secret');
    writeFileSync(join(folder, '.secret'), 'secret');
    mkdirSync(join(folder, '.git'));
    writeFileSync(join(folder, '.git/config'), 'secret');
    symlinkSync(join(base, 'secret'), join(folder, 'absolute'));
    symlinkSync('../secret', join(folder, 'relative'));
    symlinkSync(base, join(folder, 'up'));
    symlinkSync(join(base, 'repository'), join(folder, 'neighbour'));
  });

  test.each([
    '/../secret',
    '/el9/../../secret',
    '/%2e%2e/secret',
    '/..%2fsecret',
    '/el9%2f..%2f..%2fsecret',
    '/%2e%2e%2fsecret',
    '/.%00/secret',
    '/el9%2fa.rpm',
    '/a%00b',
    '/%',
    '/%c3',
    '/.secret',
    '/%2esecret',
    '/.git/config',
    '/absolute',
    '/relative',
    '/up/secret',
    '/up/',
    '/neighbour/secret',
    'http://127.0.0.1/../secret',
    '/missing',
    `/${'x'.repeat(3000)}`,
  ])('%s is not found', async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, body: 'There is no such file here.\n' });
  });

  test('links within the folder, also hard ones, and whole addresses are fine', async () => {
    mkdirSync(join(folder, '.merged'));
    writeFileSync(join(folder, '.merged/b.rpm'), 'merged');
    symlinkSync('.merged', join(folder, 'el8'));
    linkSync(join(base, 'secret'), join(folder, 'hard.rpm'));
    expect((await ask('/el8/b.rpm')).body).toBe('merged');
    expect((await ask('/hard.rpm?query#hash')).body).toBe('secret');
    expect((await ask('http://gateway:8585/hard.rpm')).body).toBe('secret');
  });

  test('a pipe is no file, and is not waited for', async () => {
    await runChecked(['mkfifo', join(folder, 'pipe')], 'No pipe.');
    expect((await ask('/pipe')).status).toBe(404);
  });

  test('nothing can be written', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect(await ask('/el9/a.rpm', {}, method)).toMatchObject({
        status: 405,
        headers: { allow: 'GET, HEAD' },
        body: 'Files can only be read here.\n',
      });
    }
  });

  test('what is no HTTP is refused, and the next client is served', async () => {
    const socket = connect(port, address);
    socket.write('\u0000\u0001 nonsense\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400/);
    expect((await ask('/el9/a.rpm')).status).toBe(200);
  });
});

describe('the log', () => {
  test('says who fetched what', async () => {
    await withAnother(async () => {
      await ask('/el9/a.rpm', { Range: 'bytes=2-4' });
      await ask('/missing', {}, 'HEAD');
      expect(await accesses(2)).toMatchObject([
        { client: address, vm: 'web', method: 'GET', path: '/el9/a.rpm', status: 206, bytes: 3, range: 'bytes=2-4' },
        { client: address, vm: 'web', method: 'HEAD', path: '/missing', status: 404, bytes: 0, range: null },
      ]);
    });
  });

  test('says how much of a file was sent to a client that went away', async () => {
    writeFileSync(join(folder, 'big.rpm'), Buffer.alloc(64 * 1024 * 1024));
    await withAnother(async () => {
      const asked = request({ host: address, port, path: '/big.rpm', agent: false });
      asked.end();
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      response.on('error', () => undefined);
      response.destroy();
      const [line] = await accesses(1);
      expect(line).toMatchObject({ status: 200, path: '/big.rpm' });
      expect(line?.bytes).toBeLessThan(64 * 1024 * 1024);
    });
  });

  test('has a limited size', async () => {
    await withAnother(
      async () => {
        appendFileSync(log, `${'x'.repeat(1990)}\n`);
        await ask('/el9/a.rpm');
        await until(async () => (existsSync(`${log}.0`) ? true : undefined), {
          everyMs: 5,
          timeoutMs: 10_000,
          failure: () => new Error('not renamed') as never,
        });
        expect(readFileSync(`${log}.0`, 'utf8')).toHaveLength(1991);
        expect(await accesses(1)).toHaveLength(1);
      },
      { logLimit: 2000 },
    );
  });

  test('that cannot be written keeps nobody from being served', async () => {
    await withAnother(
      async () => {
        expect((await ask('/el9/a.rpm')).status).toBe(200);
        expect((await ask('/el9/a.rpm')).status).toBe(200);
      },
      { log: join(base, 'missing/access.jsonl') },
    );
  });
});

test('a port that is taken is told', async () => {
  const program = repoServer(resourcesDir, { folder, address, port, log, vms: {} });
  const [command = '', ...args] = program.argv;
  const second = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...program.env } });
  const [line] = (await once(createInterface({ input: second.stdout }), 'line')) as [string];
  expect(program.report(line)).toEqual({ error: 'EADDRINUSE' });
});
