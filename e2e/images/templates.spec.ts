import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { lago, lagoOk } from '../support/lago.ts';
import { useScratch } from '../support/prologue.ts';
import { emptyCache, type Scratch } from '../support/scratch.ts';
import { startTemplateServer, type TemplateServer } from '../support/template-server.ts';

const MIB = 1024 * 1024;
let scratch: Scratch;
let server: TemplateServer;
let image: Buffer;
/** Options that select the repository on the server. */
let repository: readonly string[];

useScratch((made) => {
  scratch = made;
});
test.beforeEach(async () => {
  server = await startTemplateServer();
  image = Buffer.concat([randomBytes(MIB), Buffer.alloc(7 * MIB)]);
  const xz = execFileSync('xz', ['-c0'], { input: image, maxBuffer: 16 * MIB });
  const zst = execFileSync('zstd', ['-cq'], { input: image, maxBuffer: 16 * MIB });
  server.putImage('/images/el7.qcow2', image, xz, '/images/el7.qcow2.xz');
  server.putImage('/images/el8.qcow2', image, zst);
  server.put('/repo.json', JSON.stringify(catalogue(['el7', 'el8'])));
  repository = ['--template-repo-path', `${server.url}/repo.json`];
});
test.afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

function catalogue(names: readonly string[], name = 'office'): object {
  const template = (handle: string): object => ({ versions: { v1: { source: 'web', handle: `${handle}.qcow2`, timestamp: 1 } } });
  return {
    name,
    sources: { web: { type: 'http', args: { baseurl: `${server.url}/images` } } },
    templates: Object.fromEntries(names.map((each) => [each, template(each)])),
  };
}

const store = (name = ''): string => join(scratch.dir, 'store', name);
const filesOf = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => !/\.(?:lock|part|part\.json)$/.test(name)) : [];

interface Row {
  readonly name: string;
  readonly version: string;
  readonly repository: string;
  readonly cached: boolean;
  readonly size: number | null;
  readonly used_by: readonly string[];
}

async function list(...args: readonly string[]): Promise<Row[]> {
  return JSON.parse((await lagoOk(scratch, ['-f', 'json', 'templates', ...args])).stdout) as Row[];
}

/** An init file with one VM based on a template, never started. */
function onTemplate(name: string, version?: string): string {
  const disk = {
    ...{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: name },
    ...(version === undefined ? {} : { template_version: version }),
  };
  const nets = { front: { type: 'nat', management: true } };
  return scratch.write(
    `${name}.json`,
    JSON.stringify({ nets, domains: { vm: { bootstrap: false, nics: [{ net: 'front' }], disks: [disk] } } }),
  );
}

test('a checkout knows the sample guest and the vendors’ cloud images', async () => {
  const rows = await list();
  expect(rows.find(({ name }) => name === 'lago-sample')).toMatchObject({ repository: 'lago', cached: false });
  for (const name of ['debian-13', 'ubuntu-24.04', 'fedora', 'centos-stream-10', 'alma-10', 'rocky-10'])
    expect(rows.find((row) => row.name === name)).toMatchObject({ repository: 'cloud', version: 'latest', cached: false });
  expect((await lagoOk(scratch, ['templates'])).stdout).toMatch(/^NAME +VERSION +REPOSITORY +SIZE +CACHED +USED BY\n/);
});

test('fetch over dropped connections, list, verify, use, evict', async () => {
  server.drop('/images/el7.qcow2.xz', [1000, 300_000, 250_000]);
  server.drop('/images/el8.qcow2', [50_000, 10]);
  const fetched = await lagoOk(scratch, ['templates', 'fetch', 'el7', 'office:el8:v1', ...repository]);
  expect(fetched.stderr).toContain('office:el7:v1 is in the store.');
  for (const name of ['office:el7:v1', 'office:el8:v1']) expect(readFileSync(store(name)).equals(image)).toBe(true);
  expect(server.asked.filter(({ path }) => path === '/images/el7.qcow2.xz')).toHaveLength(4);
  expect(await list(...repository)).toMatchObject([
    { name: 'el7', version: 'v1', cached: true, used_by: [] },
    { name: 'el8', version: 'v1', cached: true, used_by: [] },
  ]);

  const verified = await lagoOk(scratch, ['templates', 'verify', ...repository]);
  expect(verified.stderr).toContain('office:el8:v1 is as it was fetched (sha1).');
  const damaged = Buffer.from(image);
  damaged[5] = (damaged[5] ?? 0) ^ 1;
  writeFileSync(store('office:el8:v1'), damaged);
  const found = await lago(scratch, ['templates', 'verify', 'el7', 'el8', ...repository]);
  expect(found.code).toBe(5);
  expect(found.stderr).toContain('The template office:el8:v1 is damaged');

  await lagoOk(scratch, ['init', onTemplate('el7'), ...repository]);
  const prefix = join(scratch.dir, '.lago/default');
  expect((await list(...repository))[0]).toMatchObject({ name: 'el7', used_by: [prefix] });
  const refused = await lago(scratch, ['templates', 'evict', 'el7']);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toContain(`The template office:el7:v1 is used by ${prefix}.`);
  expect((await lagoOk(scratch, ['templates', 'evict', '--unused', '--older-than', '30'])).stdout).toBe('');
  const unused = await lagoOk(scratch, ['-f', 'json', 'templates', 'evict', '--unused']);
  expect(JSON.parse(unused.stdout)).toMatchObject([{ name: 'office:el8:v1' }]);
  await lagoOk(scratch, ['destroy', '--yes']);
  await lagoOk(scratch, ['templates', 'evict', 'el7']);
  expect(filesOf(store())).toEqual([]);
});

test('two commands ask at once: one download', async () => {
  let answer = (): void => undefined;
  server.hold(
    '/images/el7.qcow2.xz',
    new Promise<void>((done) => {
      answer = done;
    }),
  );
  const fetch = ['templates', 'fetch', 'el7', ...repository];
  const first = lagoOk(scratch, fetch);
  await expect.poll(() => server.asked.map(({ path }) => path)).toContain('/images/el7.qcow2.xz');
  let waits = false;
  const second = lagoOk(scratch, fetch, {
    onStart: (child) =>
      child.stderr?.on('data', (text: Buffer) => {
        waits ||= text.includes('Waiting for another command that works on office:el7:v1');
      }),
  });
  await expect.poll(() => waits).toBe(true);
  answer();
  await Promise.all([first, second]);
  expect(server.asked.filter(({ path }) => path === '/images/el7.qcow2.xz')).toHaveLength(1);
  expect(readFileSync(store('office:el7:v1')).equals(image)).toBe(true);
});

test('a failed fetch leaves the store unchanged and says what failed, where, and the alternatives', async () => {
  server.put('/images/el7.qcow2.hash', 'a'.repeat(40));
  const wrong = await lago(scratch, ['templates', 'fetch', 'el7', ...repository]);
  expect(wrong.code).toBe(5);
  expect(wrong.stderr).toContain(`Image office:el7:v1 does not match the expected hash ${'a'.repeat(40)}`);
  const unknown = await lago(scratch, ['templates', 'fetch', 'el9', ...repository]);
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain(`The template repository office (${server.url}/repo.json) has no template "el9".`);
  expect(unknown.stderr).toMatch(/Did you mean "el[78]"\?/);
  const version = await lago(scratch, ['init', onTemplate('el7', 'v3'), ...repository]);
  expect(version.code).toBe(2);
  expect(version.stderr).toContain('has no version "v3" of template "el7". Did you mean "v1"?');
  expect(filesOf(store())).toEqual([]);
});

test('a repository from git is added, used and updated', async () => {
  const origin = join(scratch.dir, 'templates.git');
  const git = (...args: readonly string[]): void => {
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'init.defaultBranch=main', ...args], { cwd: origin });
  };
  mkdirSync(origin);
  git('init', '--quiet');
  const publish = (names: readonly string[]): void => {
    writeFileSync(join(origin, 'repo.json'), JSON.stringify(catalogue(names, 'team')));
    git('add', '.');
    git('commit', '--quiet', '-m', 'templates');
  };
  publish(['el7']);
  const repos = ['--template-repos', join(scratch.dir, 'repos')];
  const added = await lagoOk(scratch, ['template-repo', 'add', `file://${origin}`, ...repos]);
  expect(added.stdout).toBe(`${join(scratch.dir, 'repos/templates')}\n`);
  expect((await lago(scratch, ['template-repo', 'add', `file://${origin}`, ...repos])).code).toBe(2);
  await lagoOk(scratch, ['init', onTemplate('el7'), ...repos]);
  expect(filesOf(store()).sort()[0]).toBe('team:el7:v1');
  publish(['el7', 'el8']);
  expect((await list(...repos)).filter((row) => row.repository === 'team')).toHaveLength(1);
  await lagoOk(scratch, ['template-repo', 'update', ...repos]);
  expect((await list(...repos)).filter((row) => row.repository === 'team')).toHaveLength(2);
  // With the repository named explicitly, no other one is searched.
  await lagoOk(scratch, ['templates', 'fetch', 'el8', '--template-repo-name', 'team', ...repos]);
  rmSync(origin, { recursive: true });
  const gone = await lago(scratch, ['template-repo', 'update', ...repos]);
  expect(gone.code).toBe(5);
  expect(gone.stderr).toContain('Error running: git fetch');
});

test('a store that Lago filled is used as it is', async () => {
  const path = store('office:el7:v1');
  writeFileSync(path, image);
  writeFileSync(`${path}.hash`, createHash('sha1').update(image).digest('hex'));
  writeFileSync(`${path}.metadata`, '{"distro": "el7"}');
  writeFileSync(`${path}.users`, JSON.stringify({ users: { '/gone/.lago/default/uuid': 'abc' }, last_access: 1 }));
  await lagoOk(scratch, ['init', onTemplate('el7'), ...repository]);
  expect(server.asked.filter(({ path }) => /el7\.qcow2(\.xz)?$/.test(path))).toEqual([]);
  const prefix = join(scratch.dir, '.lago/default');
  const users = JSON.parse(readFileSync(`${path}.users`, 'utf8')) as { readonly users: object; readonly last_access: number };
  expect(users.users).toEqual({ [join(prefix, 'uuid')]: readFileSync(join(prefix, 'uuid'), 'utf8') });
  expect(users.last_access).toBeGreaterThan(1);
  await lagoOk(scratch, ['templates', 'verify', 'el7']);
  expect(readFileSync(path).equals(image)).toBe(true);
});

test('a user who may not write to the machine’s store gets a separate one', async () => {
  const uid = 61_235;
  chmodSync(scratch.dir, 0o755);
  emptyCache(scratch);
  for (const folder of ['home', 'data', 'cache', 'run']) chownSync(join(scratch.dir, folder), uid, uid);
  const as = { uid, env: { LAGO__INIT__TEMPLATE_STORE: '/var/lib/lago/store' } };
  await lagoOk(scratch, ['templates', 'fetch', 'el7', ...repository], as);
  expect(readFileSync(join(scratch.dir, 'data/lago/store/office:el7:v1')).equals(image)).toBe(true);
  // A store that was given explicitly is never replaced.
  const denied = await lago(scratch, ['templates', 'fetch', 'el7', ...repository, '--template-store', '/root/store'], as);
  expect(denied.code).toBe(3);
  expect(denied.stderr).toContain('/root/store');
});
