import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startRepositoryServer } from '../fetch/repository-server.test-support.ts';
import { DEB, type Kind, type Made, RPM } from '../kinds.test-support.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const KIB = 1024;

let dir: string;
/** Where something is mounted. */
let disk: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lago-disk-'));
  disk = join(dir, 'disk');
  mkdirSync(disk);
});

afterEach(() => rmSync(dir, { recursive: true }));

/** Runs shell lines in a mount namespace of their own, with `sync` for a synchronisation whose result or error is a line of the output. */
async function inOwnMounts(section: unknown, store: string, lines: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  const url = (path: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href);
  writeFileSync(
    join(dir, 'sync.mjs'),
    `const { syncRepo } = await import(${url('../sync.ts')});
    const { silentLog } = await import(${url('../../core/log.ts')});
    const options = { store: ${JSON.stringify(store)}, log: silentLog, env: {} };
    await syncRepo(${JSON.stringify(section)}, options)
      .then((result) => result, ({ code, message, hint }) => ({ code, message, hint }))
      .then((line) => console.log(JSON.stringify(line)));`,
  );
  const sync = `"${process.execPath}" --import "${join(ROOT, 'scripts/typescript.mjs')}" "${join(dir, 'sync.mjs')}"`;
  const script = ['set -e', `sync() { ${sync}; }`, ...lines].join('\n');
  const output = await new Promise<string>((resolve, reject) => {
    execFile('unshare', ['--mount', 'sh', '-c', script], { cwd: ROOT }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('rpm: a full disk is said, and the next synchronisation goes on', async () => await onFullDisk(RPM));
test('deb: a full disk is said, and the next synchronisation goes on', async () => await onFullDisk(DEB));

async function onFullDisk<P extends Made>({ make, serve, section }: Kind<P>): Promise<void> {
  // Larger than what is kept in memory, and smaller.
  const packages = Array.from({ length: 8 }, (_, at) => make(`p${at}`, '1', at % 2 === 0 ? 400 * KIB : 100 * KIB));
  await using server = await startRepositoryServer(serve(packages));
  const [full, whole, again] = await inOwnMounts(section(server.url), disk, [
    `mount -t tmpfs -o size=1m none ${disk}`,
    'sync',
    `mount -o remount,size=16m ${disk}`,
    'sync',
    'sync',
  ]);
  expect(full).toMatchObject({ code: 'host.no-space', message: expect.stringMatching(/^No space left for /) });
  expect(full?.['hint']).toMatch(/^Free space/);
  expect(whole).toMatchObject({ packages: 8, problems: [] });
  expect(whole?.['fetched']).not.toMatchObject({ packages: 8 });
  expect(again).toMatchObject({ kept: 8, fetched: { packages: 0 } });
}

test('a store on which nothing may be written is said', async () => {
  await using server = await startRepositoryServer(RPM.serve([RPM.make('a', '1', 300)]));
  const readOnly = `mount --bind ${disk} ${disk}; mount -o remount,ro,bind ${disk}`;
  const section = RPM.section(server.url);
  const store = join(disk, 'store');
  const [fresh] = await inOwnMounts(section, store, [readOnly, 'sync']);
  expect(fresh).toMatchObject({ code: 'host.denied', message: `${store} is on a read-only file system.` });
  const [made, later] = await inOwnMounts(section, store, ['sync', readOnly, 'sync']);
  expect(made).toMatchObject({ packages: 1 });
  expect(later).toMatchObject({ code: 'host.denied', message: expect.stringContaining('is on a read-only file system') });
  expect(readFileSync(join(store, 'tiny/repodata/repomd.xml'), 'utf8')).toContain('primary');
});
