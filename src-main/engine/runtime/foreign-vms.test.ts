import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VmSpec } from '../../../src-shared/specs.ts';
import type { PrefixState, VmStatus } from '../../../src-shared/state.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { silentLog } from '../core/log.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { startFakeGuest } from '../guest/guest.fake.ts';
import { makePrefixKey } from '../guest/keys.ts';
import type { ForeignProvider } from '../plugins/contract.ts';
import { createRegistry } from '../plugins/registry.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { readPrefix, writeSpecs } from '../prefix/prefix.ts';
import { startEnvironment, stopEnvironment } from '../recipes/lifecycle.ts';
import { rebootEnvironment, shutDownEnvironment } from '../recipes/shutdown.ts';
import { runInGuest } from './access.ts';
import { observe, prefixState } from './observed/state.ts';
import type { RecipeContext } from './recipe.ts';
import { guestService } from './services.ts';
import type { HostAccess } from './session.ts';

let root: string;
beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), 'lago-machines-')), 'demo');
  const paths = prefixPaths(root);
  await mkdir(paths.virt, { recursive: true });
  await writeFile(paths.uuid, 'aaaabbbbccccddddeeeeffff00001111');
  await writeFile(paths.initialized, '');
  await makePrefixKey(root, 'test');
});
afterEach(async () => await rm(join(root, '..'), { recursive: true, force: true }));

/** VM → its provider. */
async function define(vms: Readonly<Record<string, string>>): Promise<void> {
  const specs = Object.entries(vms).map(([name, provider]) => VmSpec.parse({ name, 'vm-provider': provider, boot_time_sec: 20 }));
  await writeSpecs(prefixPaths(root), { nets: [], vms: specs });
}

/** Machines need no host. */
const noHosts: HostAccess = {
  open: async () => await Promise.reject(new Error('a host was started')),
  find: async () => await Promise.resolve(undefined),
  stop: async () => await Promise.resolve(),
  summary: () => ({ kind: 'embedded', uri: '', status: 'down', accelerator: 'unknown', uplink: 'none', problem: null }),
  [Symbol.asyncDispose]: async () => await Promise.resolve(),
};

/** Machines in memory; `broken` names one whose start fails. */
function cloud(more: Partial<ForeignProvider> = {}, broken?: string): { readonly context: RecipeContext; readonly calls: string[] } {
  const states = new Map<string, VmStatus>();
  const calls: string[] = [];
  const provider: ForeignProvider = {
    apiVersion: 1,
    kind: 'vm-provider',
    name: 'cloud',
    async start(vm) {
      calls.push(`start ${vm.name}`);
      if (vm.name === broken) throw new Error('quota is used up');
      states.set(vm.name, 'running');
      await Promise.resolve();
    },
    async stop(vm) {
      calls.push(`stop ${vm.name}`);
      states.set(vm.name, 'down');
      await Promise.resolve();
    },
    state: async (vm) => await Promise.resolve(states.get(vm.name) ?? 'down'),
    ...more,
  };
  const plugins = createRegistry([{ source: 'test', plugins: [provider], problems: [] }]);
  return { context: { hosts: noHosts, settings: { host: 'embedded' } as EngineSettings, resourcesDir: '/nowhere', plugins }, calls };
}

const run = async (work: (step: Step) => Promise<void>): Promise<void> =>
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await work(step)).done;

async function state(context: RecipeContext): Promise<PrefixState['vms']> {
  const prefix = await readPrefix(root);
  return (await prefixState(prefix, noHosts, await observe(prefix, noHosts, { plugins: context.plugins, log: silentLog }))).vms;
}

describe('machines of a provider plugin', () => {
  it('are started and stopped by it, and left alone when nothing has to be done', async () => {
    await define({ a: 'cloud', b: 'cloud' });
    const { context, calls } = cloud();
    await run(async (step) => await startEnvironment(context, root, ['a'], step));
    await run(async (step) => await startEnvironment(context, root, [], step));
    expect(calls).toEqual(['start a', 'start b']);
    expect((await state(context)).map((vm) => vm.status)).toEqual(['running', 'running']);
    await run(async (step) => await stopEnvironment(context, root, ['b'], step));
    await run(async (step) => await stopEnvironment(context, root, [], step));
    expect(calls.slice(2)).toEqual(['stop b', 'stop a']);
  });

  it('are shut down and rebooted by a provider that can, and else only stopped', async () => {
    await define({ a: 'cloud' });
    const asked: string[] = [];
    const able = cloud({
      shutdown: async (vm) => await Promise.resolve(void asked.push(`shutdown ${vm.name}`)),
      reboot: async (vm) => await Promise.resolve(void asked.push(`reboot ${vm.name}`)),
    });
    await run(async (step) => await startEnvironment(able.context, root, [], step));
    await run(async (step) => await rebootEnvironment(able.context, root, {}, step));
    await run(async (step) => await shutDownEnvironment(able.context, root, {}, step));
    expect([asked, able.calls]).toEqual([['reboot a', 'shutdown a'], ['start a']]);

    const plain = cloud();
    await run(async (step) => await startEnvironment(plain.context, root, [], step));
    await expect(run(async (step) => await rebootEnvironment(plain.context, root, {}, step))).rejects.toMatchObject({
      code: 'not-available',
      message: 'VM a: its provider "cloud" cannot reboot it.',
    });
    await run(async (step) => await shutDownEnvironment(plain.context, root, {}, step));
    expect(plain.calls).toEqual(['start a', 'stop a']);
  });

  it('are stopped again when another one fails to start, with an error that names the plugin', async () => {
    await define({ a: 'cloud', b: 'cloud' });
    const { context, calls } = cloud({}, 'b');
    await expect(run(async (step) => await startEnvironment(context, root, [], step))).rejects.toMatchObject({
      code: 'plugin.failed',
      message: 'VM b: its provider "cloud" could not start it: quota is used up',
    });
    expect(calls).toContain('stop a');
    expect((await state(context)).map((vm) => vm.status)).toEqual(['down', 'down']);
  });

  it('show the state from the provider, and unknown when it fails or returns nonsense', async () => {
    await define({ a: 'cloud' });
    const away = cloud({ address: async () => await Promise.resolve({ host: '10.1.2.3' }) });
    expect(await state(away.context)).toMatchObject([{ status: 'down', ip: '10.1.2.3' }]);
    const failing = cloud({ state: async () => await Promise.reject(new Error('no network')) });
    expect(await state(failing.context)).toMatchObject([{ status: 'unknown', ip: null }]);
    const nonsense = cloud({ state: async () => await Promise.resolve('fine' as VmStatus) });
    expect(await state(nonsense.context)).toMatchObject([{ status: 'unknown' }]);
  });

  it('do not block the others when their provider never answers', async () => {
    await define({ a: 'cloud', b: 'ssh' });
    const silent = cloud({ state: async () => await new Promise<never>(() => undefined) });
    expect((await state(silent.context)).map((vm) => vm.status)).toEqual(['unknown', 'running']);
  });

  it('cannot be started without the plugin, but the environment can still be stopped', async () => {
    await define({ a: 'gone' });
    const { context } = cloud();
    await expect(run(async (step) => await startEnvironment(context, root, [], step))).rejects.toMatchObject({
      code: 'input.invalid',
      message: 'VM a needs the VM provider "gone", which no plugin offers.',
    });
    expect(await state(context)).toMatchObject([{ status: 'unknown' }]);
    await run(async (step) => await stopEnvironment(context, root, [], step));
  });

  it('of the provider ssh always count as running and are never touched', async () => {
    await define({ a: 'ssh' });
    const { context } = cloud();
    await run(async (step) => await startEnvironment(context, root, [], step));
    await run(async (step) => await stopEnvironment(context, root, [], step));
    expect(await state(context)).toMatchObject([{ status: 'running', ip: null }]);
  });
});

describe('ssh to such a machine', () => {
  it("uses the provider's address; commands and services work there", async () => {
    await define({ a: 'cloud' });
    await using guest = await startFakeGuest({
      run(channel, command = '') {
        if (command === 'hostname') channel.write('a\n');
        channel.exit(command === 'test -e /usr/bin/systemctl' || command.startsWith('systemctl status') || command === 'hostname' ? 0 : 1);
        channel.end();
      },
    });
    const { context } = cloud({
      state: async () => await Promise.resolve('running'),
      address: async () => await Promise.resolve({ host: '127.0.0.1', port: guest.port }),
    });
    expect(await runInGuest(context, root, { vm: 'a', command: 'hostname' })).toEqual({ code: 0, stdout: 'a\n', stderr: '' });
    const detected = new Map<string, string>();
    const service = await guestService(context, root, 'a', 'sshd', { detected });
    expect(await service.state()).toBe('active');
    expect(await service.provider()).toBe('systemd');
    expect(guest.seen.filter((line) => line.startsWith('exec test'))).toHaveLength(1);
  });

  it('is refused while it does not run, or when its address is unknown', async () => {
    await define({ a: 'cloud' });
    await expect(runInGuest(cloud().context, root, { vm: 'a', command: 'true' })).rejects.toMatchObject({ code: 'vm.not-running' });
    const lost = cloud({ state: async () => await Promise.resolve('running') });
    await expect(runInGuest(lost.context, root, { vm: 'a', command: 'true' })).rejects.toMatchObject({
      code: 'guest.unreachable',
      message: 'VM a has no known address.',
    });
  });
});
