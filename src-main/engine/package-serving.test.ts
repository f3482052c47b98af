import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServedState } from '../../src-shared/repos/packages-state.ts';
import { NetSpec } from '../../src-shared/specs.ts';
import { silentLog } from './core/log.ts';
import { run } from './core/run.ts';
import { until } from './core/until.ts';
import { dialFromMachine } from './host/direct.ts';
import { createPackageWatch } from './live/package-watch.ts';
import { createPackageServing, type PackageServing } from './package-serving.ts';
import { prefixPaths } from './prefix/layout.ts';
import { type Prefix, readPrefix, writeSpecs } from './prefix/prefix.ts';
import { type PrefixRecord, writeRecord } from './prefix/record.ts';
import { servePackages } from './recipes/repos/serve.ts';
import { serveDuring } from './recipes/repos/serve-during.ts';
import { createWorld, writePrefix } from './recipes/world.test-support.ts';
import { noticesOf } from './runtime/packages/notices.ts';
import { packagesState } from './runtime/packages/state.ts';
import type { RecipeContext } from './runtime/recipe.ts';

/** An environment whose gateway is this machine's loopback address, and two engines that know it. */
let folder: string;
let root: string;
let prefix: Prefix;
let port: number;
let context: RecipeContext;
let one: PackageServing;
let other: PackageServing;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-serving-'));
  root = join(folder, 'demo');
  await writePrefix(root);
  port = await freePort();
  const paths = prefixPaths(root);
  const { specs, record } = await readPrefix(root);
  await writeSpecs(paths, { ...specs, nets: [NetSpec.parse({ name: 'net0', type: 'nat', gw: '127.0.0.1', management: true })] });
  const repos = { files: [], sources: [], client: 'none' as const, serve: false, port };
  await writeRecord(paths.record, { ...(record as PrefixRecord), repos });
  prefix = await readPrefix(root);
  const world = createWorld();
  const session = await world.context.hosts.open(prefix, silentLog, new AbortController().signal);
  Object.assign(session.host, { dial: dialFromMachine, run });
  context = { ...world.context, resourcesDir: join(import.meta.dirname, '../../resources') };
  one = createPackageServing(context, silentLog);
  other = createPackageServing(context, silentLog);
  await mkdir(join(paths.internalRepo, 'el9'), { recursive: true });
});
afterEach(async () => {
  await one.stop(root);
  await rm(folder, { recursive: true, force: true });
});

const served = async (): Promise<readonly ServedState[]> => (await packagesState(prefix, await context.hosts.find(prefix)))?.served ?? [];
const notices = async (): Promise<readonly string[]> => (await readdir(root)).filter((name) => name.includes('repo-server'));

test('what one engine serves is in the state of all, and any can end it', async () => {
  const url = `http://127.0.0.1:${port}/`;
  expect(await served()).toEqual([]);
  expect(await one.start(root)).toBe(url);
  expect(await one.start(root)).toBe(url);
  expect(await served()).toEqual([{ url, folder: prefix.paths.internalRepo, by: 'window' }]);
  await expect(other.start(root)).rejects.toMatchObject({ code: 'conflict.locked', message: expect.stringContaining(`Port ${port} of`) });
  await other.stop(root);
  expect(await served()).toEqual([]);
  expect(await notices()).toEqual([]);
  expect(await other.start(root)).toBe(url);
  await other[Symbol.asyncDispose]();
  expect(await served()).toEqual([]);
});

test('one that was killed is not in the state, is noticed, and leaves nothing for the next', async () => {
  await one.start(root);
  const [known] = await noticesOf(prefix);
  let noticed = (): void => undefined;
  const change = new Promise<void>((resolve) => (noticed = resolve));
  const watch = createPackageWatch(silentLog, () => noticed(), 5);
  watch.update(prefix, await context.hosts.find(prefix), 1);
  process.kill(known?.notice.pid ?? 0, 'SIGKILL');
  await change;
  watch.close();
  expect(await served()).toEqual([]);
  // This engine sees the end of what it has begun.
  await until(async () => ((await notices()).length === 0 ? true : undefined), {
    ...{ everyMs: 5, timeoutMs: 10_000 },
    failure: () => {
      throw new Error('The notice is still there.');
    },
  });
  // That of a process that was killed with its server stays until somebody serves again.
  await writeFile(prefix.paths.repoServer('old'), JSON.stringify(known?.notice));
  await one.start(root);
  expect(await notices()).toHaveLength(1);
});

test('a command and a deploy are told apart, and a deploy is not cut short', async () => {
  const server = await servePackages(context, root, {}, { log: silentLog });
  expect(await served()).toMatchObject([{ by: 'command' }]);
  await one.stop(root);
  await server.ended;
  await using _deploy = await serveDuring(context, prefix, { log: silentLog, signal: new AbortController().signal });
  await one.stop(root);
  expect(await served()).toMatchObject([{ by: 'deploy' }]);
});

test('on and off in a hurry ends with what was wanted last', async () => {
  await Promise.all([one.start(root), one.stop(root), one.start(root)]);
  expect(await served()).toHaveLength(1);
  await Promise.all([one.stop(root), one.start(root), one.stop(root)]);
  expect(await served()).toEqual([]);
});
