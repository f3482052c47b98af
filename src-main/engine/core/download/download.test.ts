import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createPauseGate } from '../pause.ts';
import { run } from '../run.ts';
import { type DownloadOptions, type DownloadProgress, describeProgress, downloadText, openDownload, remoteSize } from './download.ts';
import { type Behaviour, type MisbehavingServer, startMisbehavingServer } from './misbehaving-server.test-support.ts';
import { proxyFor } from './proxy.ts';

const opened: (() => Promise<void> | void)[] = [];
const body = randomBytes(300_000);
const quick: DownloadOptions = { backOffMs: 1, env: {} };

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function serve(): Promise<MisbehavingServer> {
  const server = await startMisbehavingServer();
  opened.push(async () => await server[Symbol.asyncDispose]());
  return server;
}

async function read(url: string, options: DownloadOptions = {}): Promise<Buffer | undefined> {
  const download = await openDownload(url, { ...quick, ...options });
  if (download === undefined) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of download.content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('a download', () => {
  test('fetches the whole file and reports progress', async () => {
    const server = await serve();
    server.put('/image', body);
    const told: DownloadProgress[] = [];
    expect((await read(`${server.url}/image`, { onProgress: (progress) => told.push(progress) }))?.equals(body)).toBe(true);
    expect(told.at(-1)).toMatchObject({ received: body.length, total: body.length });
  });

  test('resumes where the connection broke, as long as each attempt makes progress', async () => {
    const server = await serve();
    server.put('/image', body, [{ dropAfter: 100_000 }, { dropAfter: 1000 }, { dropAfter: 50_000 }, {}]);
    expect((await read(`${server.url}/image`, { attempts: 2 }))?.equals(body)).toBe(true);
    const ranges = server.requests.slice(1).map(({ headers }) => headers.range);
    expect(ranges).toHaveLength(3);
    for (const range of ranges) expect(range).toMatch(/^bytes=\d+-$/);
    expect(server.requests[1]?.headers['if-range']).toBe('"v1"');
  });

  test('does not count a pause as time of the download', async () => {
    const server = await serve();
    server.put('/image', body);
    const gate = createPauseGate();
    const told: DownloadProgress[] = [];
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
    try {
      const whole = await read(`${server.url}/image`, {
        gate,
        onProgress: (progress) => {
          told.push(progress);
          if (told.length > 1) return;
          gate.pause();
          vi.setSystemTime(Date.now() + 3_600_000);
          setImmediate(() => gate.resume());
        },
      });
      expect(whole?.equals(body)).toBe(true);
    } finally {
      vi.useRealTimers();
    }
    expect(server.requests).toHaveLength(2);
    expect(told.length).toBeGreaterThan(1);
    expect(told.slice(1).map((progress) => progress.secondsLeft)).not.toContainEqual(expect.any(Number));
  });

  test('skips what it has when the server always sends the whole file', async () => {
    const server = await serve();
    server.put('/image', body, [{ dropAfter: 100_000 }, { noRanges: true }]);
    expect((await read(`${server.url}/image`))?.equals(body)).toBe(true);
  });

  test('refuses a file that changed meanwhile', async () => {
    const server = await serve();
    server.put('/image', body, [{ dropAfter: 100_000 }, { etag: '"v2"' }]);
    await expect(read(`${server.url}/image`)).rejects.toMatchObject({
      code: 'remote.invalid',
      message: expect.stringContaining('changed while'),
    });
  });

  test('takes silence for a broken connection', async () => {
    const server = await serve();
    server.put('/image', body, [{ stallAfter: 100_000 }]);
    expect((await read(`${server.url}/image`, { idleMs: 50 }))?.equals(body)).toBe(true);
  });

  test('detects a wrong announced length', async () => {
    const server = await serve();
    server.put('/image', body, [{ announce: body.length + 10 }]);
    await expect(read(`${server.url}/image`)).rejects.toMatchObject({
      code: 'remote.invalid',
      message: expect.stringContaining('announced'),
    });
  });

  test('retries when the server is overloaded, and finally gives up', async () => {
    const server = await serve();
    server.put('/image', body, [{ status: 503 }, { status: 429 }]);
    expect((await read(`${server.url}/image`))?.equals(body)).toBe(true);
    server.put(
      '/busy',
      body,
      Array.from({ length: 9 }, () => ({ status: 503 })),
    );
    await expect(read(`${server.url}/busy`, { attempts: 3 })).rejects.toMatchObject({
      code: 'remote.unreachable',
      message: expect.stringContaining('503'),
    });
    expect(server.requests.filter(({ path }) => path === '/busy')).toHaveLength(3);
  });

  test('gives up when no attempt makes progress', async () => {
    const server = await serve();
    server.put('/image', body, [{ dropAfter: 1000 }, ...Array.from({ length: 9 }, () => ({ dropAfter: 0 }))]);
    await expect(read(`${server.url}/image`, { attempts: 3 })).rejects.toMatchObject({ code: 'remote.unreachable' });
  });

  test('is undefined for a missing file, and an error for a forbidden one', async () => {
    const server = await serve();
    expect(await read(`${server.url}/nothing`)).toBeUndefined();
    server.put('/secret', body, [{ status: 403 }]);
    await expect(read(`${server.url}/secret`)).rejects.toMatchObject({ code: 'remote.invalid', details: { status: 403 } });
  });

  test('reports that nobody answers', async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    await expect(read(`http://user:secret@127.0.0.1:${port}/image`, { attempts: 2 })).rejects.toMatchObject({
      code: 'remote.unreachable',
      message: expect.not.stringContaining('secret'),
    });
  });

  test('follows redirects, but not in circles and not to other schemes', async () => {
    const server = await serve();
    server.put('/image', body);
    server.put('/old', '', [{ status: 302, headers: { location: '/image' } }]);
    expect((await read(`${server.url}/old`))?.equals(body)).toBe(true);
    server.put(
      '/circle',
      '',
      Array.from({ length: 20 }, () => ({ status: 302, headers: { location: '/circle' } })),
    );
    await expect(read(`${server.url}/circle`)).rejects.toMatchObject({
      code: 'remote.invalid',
      message: expect.stringContaining('redirects'),
    });
    server.put('/file', '', [{ status: 302, headers: { location: 'file:///etc/passwd' } }]);
    await expect(read(`${server.url}/file`)).rejects.toMatchObject({ code: 'remote.invalid' });
  });

  test('stops on abort', async () => {
    const server = await serve();
    server.put('/image', body, [{ stallAfter: 1000 }]);
    const abort = new AbortController();
    const reading = read(`${server.url}/image`, { signal: abort.signal, onProgress: () => abort.abort() });
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  });

  test('goes through a proxy', async () => {
    const proxy = await serve();
    proxy.put('http://example.invalid/image', body);
    expect((await read('http://example.invalid/image', { env: { http_proxy: proxy.url.replace('//', '//me:pw@') } }))?.equals(body)).toBe(
      true,
    );
    expect(proxy.requests[0]?.headers).toMatchObject({ host: 'example.invalid', 'proxy-authorization': `Basic ${btoa('me:pw')}` });
  });
});

describe('local files', () => {
  test('come like remote ones', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lago download '));
    opened.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'an image#1');
    writeFileSync(path, body);
    expect((await read(pathToFileURL(path).href))?.equals(body)).toBe(true);
    expect(await remoteSize(pathToFileURL(path).href)).toBe(body.length);
    expect(await read(pathToFileURL(join(folder, 'none')).href)).toBeUndefined();
    await expect(read(pathToFileURL(folder).href)).rejects.toMatchObject({ code: 'remote.invalid' });
  });
});

describe('the kept part of an interrupted download', () => {
  function place(): string {
    const folder = mkdtempSync(join(tmpdir(), 'lago part '));
    opened.push(() => rmSync(folder, { recursive: true }));
    return join(folder, 'image.part');
  }
  /** Reads until the connection is finally lost. */
  async function breakOff(server: MisbehavingServer, keep: string, behaviour: Behaviour = {}): Promise<void> {
    server.put('/image', body, [{ dropAfter: 100_000, ...behaviour }, { status: 503 }]);
    await expect(read(`${server.url}/image`, { keep, attempts: 1 })).rejects.toMatchObject({ code: 'remote.unreachable' });
  }

  test('is resumed', async () => {
    const server = await serve();
    const keep = place();
    await breakOff(server, keep);
    const size = readFileSync(keep).length;
    expect(size).toBeGreaterThan(0);
    expect(body.subarray(0, size).equals(readFileSync(keep))).toBe(true);
    const download = await openDownload(`${server.url}/image`, { ...quick, keep });
    expect(download?.kept).toBe(size - 1);
    const chunks: Buffer[] = [];
    for await (const chunk of download?.content ?? []) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(body)).toBe(true);
    expect(server.requests.at(-1)?.headers).toMatchObject({ range: `bytes=${size - 1}-`, 'if-range': '"v1"' });
    await download?.forget();
    expect(readdirSync(dirname(keep))).toEqual([]);
  });

  test.each<readonly [string, Behaviour]>([
    ['changed', { etag: '"v2"' }],
    ['cannot send a part', { noRanges: true }],
    ['sends another part', { headers: { 'content-range': 'bytes 5-10/11' } }],
    ['says that there is no such part', { status: 416 }],
  ])('is not used when the file %s', async (_what, behaviour) => {
    const server = await serve();
    const keep = place();
    await breakOff(server, keep);
    server.put('/image', body, [behaviour]);
    expect((await read(`${server.url}/image`, { keep }))?.equals(body)).toBe(true);
  });

  test('is not used for another URL, or when its origin is unknown', async () => {
    const server = await serve();
    const keep = place();
    await breakOff(server, keep);
    const other = randomBytes(200_000);
    server.put('/other', other);
    expect((await read(`${server.url}/other`, { keep }))?.equals(other)).toBe(true);
    await breakOff(server, keep);
    writeFileSync(`${keep}.json`, '{"url":');
    expect((await read(`${server.url}/image`, { keep }))?.equals(body)).toBe(true);
  });

  test('may be the whole file', async () => {
    const server = await serve();
    const keep = place();
    server.put('/image', body);
    await read(`${server.url}/image`, { keep });
    expect((await read(`${server.url}/image`, { keep }))?.equals(body)).toBe(true);
    expect(server.requests.at(-1)?.headers.range).toBe(`bytes=${body.length - 1}-`);
  });

  test('is empty when nothing was received', async () => {
    const server = await serve();
    const keep = place();
    server.put('/image', body, [{ status: 503 }]);
    await expect(read(`${server.url}/image`, { keep, attempts: 1 })).rejects.toMatchObject({ code: 'remote.unreachable' });
    expect(readdirSync(dirname(keep))).toEqual([]);
  });
});

test('a broken connection is resumed at the requested address, not at the redirect target', async () => {
  const server = await serve();
  const moved = (to: string): Behaviour => ({ status: 302, headers: { location: to } });
  server.put('/image', '', [moved('/signed-1'), moved('/signed-2')]);
  // URLs signed for a short time only.
  server.put('/signed-1', body, [{ dropAfter: 100_000 }, { status: 403 }]);
  server.put('/signed-2', body);
  expect((await read(`${server.url}/image`))?.equals(body)).toBe(true);
  expect(server.requests.map(({ path }) => path)).toEqual(['/image', '/signed-1', '/image', '/signed-2']);
});

test('a text is limited', async () => {
  const server = await serve();
  server.put('/text', 'hello');
  expect(await downloadText(`${server.url}/text`, quick)).toBe('hello');
  await expect(downloadText(`${server.url}/text`, { ...quick, maxBytes: 3 })).rejects.toMatchObject({ code: 'remote.invalid' });
});

test('the size is known without a download', async () => {
  const server = await serve();
  server.put('/image', body);
  expect(await remoteSize(`${server.url}/image`, quick)).toBe(body.length);
  expect(await remoteSize(`${server.url}/none`, quick)).toBeUndefined();
  expect(server.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
});

test('only downloadable URLs are accepted', async () => {
  await expect(openDownload('ftp://example.invalid/x')).rejects.toMatchObject({ code: 'input.invalid' });
  await expect(openDownload('nonsense')).rejects.toMatchObject({ code: 'input.invalid' });
});

test.each([
  ['http://a.example/x', {}, undefined],
  ['http://a.example/x', { http_proxy: 'http://p:3128' }, 'http://p:3128/'],
  ['http://a.example/x', { https_proxy: 'http://p:3128' }, undefined],
  ['https://a.example/x', { HTTPS_PROXY: 'p:3128' }, 'http://p:3128/'],
  ['http://a.example/x', { http_proxy: 'http://p', no_proxy: 'b.example, .example' }, undefined],
  ['http://a.example/x', { http_proxy: 'http://p', no_proxy: 'ample' }, 'http://p/'],
  ['http://a.example/x', { http_proxy: 'http://p', no_proxy: 'a.example:8080' }, 'http://p/'],
  ['http://a.example:8080/x', { http_proxy: 'http://p', NO_PROXY: 'a.example:8080' }, undefined],
  ['http://a.example/x', { http_proxy: 'http://p', no_proxy: '*' }, undefined],
  ['http://a.example/x', { http_proxy: '' }, undefined],
])('the proxy of %s with %j is %s', (url, env, expected) => {
  expect(proxyFor(new URL(url), env)?.href).toBe(expected);
});

test('progress reads well', () => {
  const mebi = 1024 * 1024;
  expect(describeProgress({ received: 142 * mebi, total: 300 * mebi, bytesPerSecond: 28 * mebi, secondsLeft: 6 })).toBe(
    '142 MiB of 300 MiB, 28 MiB/s, 6 s left',
  );
  expect(describeProgress({ received: 0, total: mebi, bytesPerSecond: 100, secondsLeft: 9000 })).toBe('0 B of 1 MiB, 100 B/s, 3 h left');
  expect(describeProgress({ received: 0, total: mebi, bytesPerSecond: 1000, secondsLeft: 119 })).toContain(', 2 m left');
  expect(describeProgress({ received: 512, total: null, bytesPerSecond: 0, secondsLeft: null })).toBe('512 B');
});

describe('https', () => {
  /** A proxy that supports only CONNECT and records its requests. */
  async function startProxy(): Promise<{ readonly url: string; readonly asked: string[] }> {
    const asked: string[] = [];
    const proxy = createHttpServer((_, response) => response.writeHead(400).end());
    const sockets = new Set<Socket>();
    proxy.on('connect', (request: IncomingMessage, client: Socket) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
      const [host, port] = (request.url ?? '').split(':');
      const target = connect(Number(port), host === 'templates.test' ? '127.0.0.1' : 'invalid', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(target).pipe(client);
      });
      for (const socket of [client, target]) {
        sockets.add(socket);
        socket.on('error', () => socket.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    opened.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    });
    return { url: `http://me:pw@127.0.0.1:${(proxy.address() as AddressInfo).port}`, asked };
  }

  test('goes through a proxy by CONNECT, and trusts only what the system trusts', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lago tls '));
    opened.push(() => rmSync(folder, { recursive: true }));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const names = ['-subj', '/CN=templates.test', '-addext', 'subjectAltName=DNS:templates.test'];
    execFileSync('openssl', [...request, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const web = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => response.end(body));
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    opened.push(async () => {
      web.closeAllConnections();
      await new Promise((resolve) => web.close(resolve));
    });
    const proxy = await startProxy();
    const { port } = web.address() as AddressInfo;
    const program = `
      import { createHash } from 'node:crypto';
      import { openDownload } from ${JSON.stringify(join(import.meta.dirname, 'download.ts'))};
      const hash = createHash('sha1');
      try {
        for await (const chunk of (await openDownload(process.argv[1], { attempts: 1 })).content) hash.update(chunk);
        console.log(hash.digest('hex'));
      } catch (error) {
        console.log(error.code, error.message);
      }`;
    const fetch = async (env: Readonly<Record<string, string>>): Promise<string> => {
      const loader = join(import.meta.dirname, '../../../../scripts/typescript.mjs');
      const url = `https://templates.test:${port}/image`;
      const argv = [process.execPath, '--import', loader, '--input-type=module', '-e', program, url];
      return (await run(argv, { env: { https_proxy: proxy.url, no_proxy: '', ...env } })).stdout.trim();
    };
    expect(await fetch({ NODE_EXTRA_CA_CERTS: cert })).toBe(createHash('sha1').update(body).digest('hex'));
    expect(await fetch({})).toMatch(/^remote\.unreachable .*self-signed certificate/);
    expect(proxy.asked).toEqual(Array.from({ length: 2 }, () => `templates.test:${port} Basic ${btoa('me:pw')}`));
  });
});
