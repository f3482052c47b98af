import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EngineSettings } from '../configuration/settings.ts';
import { silentLog } from '../core/log.ts';
import { bootId, startTimeOf } from '../core/process-identity.ts';
import { type FakeLibvirtd, type Handlers, startFakeLibvirtd } from '../libvirt/rpc/libvirtd.fake.ts';
import { type Prefix, readPrefix } from '../prefix/prefix.ts';
import { writePrefix } from '../recipes/world.test-support.ts';
import { createHostAccess, type HostAccess } from './session.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-session-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface FakeHost extends AsyncDisposable {
  readonly server: FakeLibvirtd;
  readonly access: HostAccess;
  readonly prefix: Prefix;
  readonly runtimeDir: string;
}

/** An embedded host described by its files, with this process as its cell and a fake libvirt. */
async function fakeHost(handlers: Handlers = {}): Promise<FakeHost> {
  const server = await startFakeLibvirtd(handlers);
  const root = join(folder, 'demo');
  await writePrefix(root);
  const prefix = await readPrefix(root);
  const runtimeDir = join(folder, 'run');
  mkdirSync(join(runtimeDir, 'libvirt'), { recursive: true, mode: 0o700 });
  mkdirSync(prefix.paths.host);
  const facts = { version: 1, id: prefix.uuid, stateDir: prefix.paths.host, uplink: 'none', accelerator: 'tcg' };
  writeFileSync(join(runtimeDir, 'facts.json'), JSON.stringify(facts));
  writeFileSync(join(runtimeDir, 'ready'), '');
  symlinkSync(server.uri.split('socket=')[1] ?? '', join(runtimeDir, 'libvirt', 'libvirt-sock'));
  writeFileSync(join(prefix.paths.host, 'cell'), `${process.pid} ${startTimeOf(process.pid) ?? ''} ${bootId()} ${runtimeDir}\n`);
  const settings = { host: 'embedded', uplink: 'none', accelerator: 'tcg' } as EngineSettings;
  const access = createHostAccess({ settings, resourcesDir: '/nowhere', log: silentLog });
  return {
    server,
    access,
    prefix,
    runtimeDir,
    async [Symbol.asyncDispose]() {
      await access[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

test('concurrent callers share one session', async () => {
  await using host = await fakeHost();
  const [one, two] = await Promise.all([host.access.find(host.prefix), host.access.find(host.prefix)]);
  expect(one).toBeDefined();
  expect(one).toBe(two);
  // One connection for slow calls and one for the others.
  expect(host.server.clients).toHaveLength(2);
});

test('a caller that cancels does not take the session from another one', async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using host = await fakeHost({
    connectOpen: async () => {
      await held;
      return undefined;
    },
  });
  const abort = new AbortController();
  const first = host.access.find(host.prefix, abort.signal);
  const second = host.access.find(host.prefix);
  await expect.poll(() => host.server.clients.length).toBeGreaterThan(0);
  const cancelled = expect(first).rejects.toMatchObject({ code: 'cancelled' });
  abort.abort();
  await cancelled;
  release();
  expect(await second).toBeDefined();
});

test('a host without its sockets, or with a libvirt that does not respond, is unusable and not down', { timeout: 60_000 }, async () => {
  await using host = await fakeHost();
  rmSync(join(host.runtimeDir, 'libvirt', 'libvirt-sock'));
  await expect(host.access.find(host.prefix)).rejects.toMatchObject({ code: 'host.unusable', details: { reason: 'libvirt' } });
  rmSync(host.runtimeDir, { recursive: true });
  await expect(host.access.find(host.prefix)).rejects.toMatchObject({
    code: 'host.unusable',
    details: { reason: 'sockets' },
    hint: expect.stringContaining('lago stop') as string,
  });
});

test('a session outlives its libvirt: unusable while that is away, and the same one afterwards', { timeout: 60_000 }, async () => {
  await using host = await fakeHost();
  const session = await host.access.find(host.prefix);
  const noticed = new Promise((resolve) => session?.hypervisor.onEvent(resolve));
  await host.server.pause();
  await noticed;
  await expect(host.access.find(host.prefix)).rejects.toMatchObject({ code: 'host.unusable', details: { reason: 'libvirt' } });
  await host.server.resume();
  expect(await host.access.find(host.prefix)).toBe(session);
});
