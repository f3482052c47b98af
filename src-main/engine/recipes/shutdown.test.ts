import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VerbInputs } from '../../../src-shared/verbs.ts';
import { type Operation, startOperation } from '../core/operation.ts';
import { loopbackDial, startFakeGuest } from '../guest/guest.fake.ts';
import { makePrefixKey } from '../guest/keys.ts';
import { type FakeMethod, libvirtError } from '../libvirt/hypervisor-faults.fake.ts';
import { domainName } from '../prefix/prefix.ts';
import { startEnvironment } from './lifecycle.ts';
import { rebootEnvironment, resetEnvironment, shutDownEnvironment } from './shutdown.ts';
import { suspendEnvironment } from './suspend.ts';
import { createWorld, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;
const [VM0, VM1] = [domainName(UUID, 'vm0'), domainName(UUID, 'vm1')];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-shutdown-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** Guests of these tests obey at once or never. */
const PATIENCE = 30;
const DOWN = { up: false, bridges: [], domains: [], networks: [] };

function shutdown(input: VerbInputs['shutdown'] = {}, patienceMs = PATIENCE): Operation<void> {
  return startOperation({ kind: 'shutdown', label: 'test' }, async (step) => {
    await shutDownEnvironment(world.context, root, input, step, patienceMs);
  });
}
const reboot = async (input: VerbInputs['shutdown'] = {}): Promise<void> =>
  await startOperation({ kind: 'reboot', label: 'test' }, async (step) => {
    await rebootEnvironment(world.context, root, input, step, PATIENCE);
  }).done;
const start = async (...vms: string[]): Promise<void> =>
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await startEnvironment(world.context, root, vms, step)).done;
const suspend = async (...vms: string[]): Promise<void> =>
  await startOperation({ kind: 'suspend', label: 'test' }, async (step) => await suspendEnvironment(world.context, root, vms, step)).done;
const reset = async (...vms: string[]): Promise<void> =>
  await startOperation({ kind: 'reset', label: 'test' }, async (step) => await resetEnvironment(world.context, root, vms, step)).done;

function states(): Record<string, string> {
  return Object.fromEntries(world.model.describe().domains.map((domain) => [domain.name, domain.state]));
}

function calls(...methods: FakeMethod[]): readonly string[] {
  return world.faults.calls.filter(({ method }) => methods.includes(method)).map(({ method, subject }) => `${method} ${subject}`);
}

/** Domains that were reset, by themselves or from outside. */
function resets(): readonly string[] {
  const seen: string[] = [];
  world.model.onEvent((event) => {
    if (event.type === 'domain' && event.event === 'rebooted') seen.push(event.name);
  });
  return seen;
}

describe('shutdown', () => {
  it('takes everything down once the guests are off, and can be repeated', async () => {
    await start();
    await shutdown().done;
    expect(world.describe()).toEqual(DOWN);
    expect(calls('destroyDomain')).toEqual([]);
    await shutdown().done;
    await shutdown({ vms: ['vm0'] }).done;
    expect(world.describe()).toEqual(DOWN);
  });

  it('of one VM keeps the others with their networks', async () => {
    await start();
    await shutdown({ vms: ['vm0'] }).done;
    expect(states()).toEqual({ [VM1]: 'running' });
    expect(world.model.describe().networks.map((net) => net.name)).toHaveLength(1);
    await expect(shutdown({ vms: ['nobody'] }).done).rejects.toMatchObject({ code: 'vm.missing' });
  });

  it('asks only an agent that answers, then ACPI', async () => {
    world.agent = false;
    await start('vm0');
    await shutdown().done;
    expect(calls('agentCommand', 'shutdownDomain')).toEqual([`agentCommand ${VM0}`, `shutdownDomain ${VM0}`]);
    expect(world.describe()).toEqual(DOWN);
  });

  it('goes on to ACPI when the agent does nothing', async () => {
    world.model.obeys = new Set(['acpi']);
    await start('vm0');
    await shutdown().done;
    expect(calls('shutdownDomain')).toHaveLength(2);
    expect(world.describe()).toEqual(DOWN);
  });

  it('uses ssh for a guest that ignores both', async () => {
    await makePrefixKey(root, 'test');
    await using guest = await startFakeGuest({
      run: (channel, command) => {
        if (command?.includes('poweroff') === true) world.model.destroyDomain(VM0);
        channel.exit(0);
        channel.end();
      },
    });
    const dial = loopbackDial();
    world.dial = async (_address, _port, options) => await dial('127.0.0.1', guest.port, options);
    world.model.obeys = new Set();
    await start('vm0');
    // A login takes its time.
    await shutdown({}, 1000).done;
    expect(world.describe()).toEqual(DOWN);
    expect(guest.seen).toContain('exec PATH=$PATH:/usr/sbin:/sbin; poweroff');
  });

  it('resumes a suspended VM, which could not shut down', async () => {
    await start();
    await suspend('vm1');
    await shutdown().done;
    expect(world.describe()).toEqual(DOWN);
  });

  it('powers off what ignores it, after the given time and with a warning', async () => {
    world.model.obeys = new Set();
    await start();
    const operation = shutdown({ forceAfter: 0.1 });
    await operation.done;
    expect(world.describe()).toEqual(DOWN);
    expect(operation.log().toSorted()).toEqual(['vm0', 'vm1'].map((vm) => `VM ${vm} has not shut down: it is powered off.`));
  });

  it('powers off at once when it is hurried, and shows until when it waits', async () => {
    world.model.obeys = new Set();
    await start();
    const operation = shutdown({ forceAfter: 3600 });
    await expect.poll(() => operation.state.forceAt ?? 0).toBeGreaterThan(Date.now() + 3_000_000);
    await expect.poll(() => operation.state.steps[0]?.steps[0]?.detail).toMatch(/^power off in 3\d{3} s$/);
    operation.hurry();
    await operation.done;
    expect(world.describe()).toEqual(DOWN);
  });

  it('leaves everything up when it is cancelled', async () => {
    world.model.obeys = new Set();
    await start();
    const operation = shutdown();
    await expect.poll(() => calls('shutdownDomain').length).toBeGreaterThan(0);
    operation.cancel();
    await expect(operation.done).rejects.toMatchObject({ code: 'cancelled' });
    expect(states()).toEqual({ [VM0]: 'running', [VM1]: 'running' });
  });

  it('counts a VM that libvirt no longer knows as down', async () => {
    await start('vm0');
    world.faults.failOn('shutdownDomain', 1, libvirtError('Domain not found', 42), 'after');
    await shutdown().done;
    expect(world.describe()).toEqual(DOWN);
  });
});

describe('reboot', () => {
  it('waits for running guests to reboot; VMs that are off stay off, unless they are named', async () => {
    await reboot();
    await start('vm0');
    const seen = resets();
    await reboot();
    expect(seen).toEqual([VM0]);
    expect(states()).toEqual({ [VM0]: 'running' });
    await expect(reboot({ vms: ['vm0', 'vm1'] })).rejects.toMatchObject({ code: 'vm.not-running', message: 'vm1 is off.' });
    expect(seen).toEqual([VM0]);
  });

  it('is what shutdown does with reboot; a suspended VM is resumed first', async () => {
    await start();
    await suspend('vm1');
    const seen = resets();
    await shutdown({ reboot: true }).done;
    expect(seen.toSorted()).toEqual([VM0, VM1]);
    expect(states()).toEqual({ [VM0]: 'running', [VM1]: 'running' });
  });

  it('resets what ignores it, if it is forced', async () => {
    world.model.obeys = new Set();
    await start('vm0');
    const seen = resets();
    await reboot({ forceAfter: 0.1 });
    expect(seen).toEqual([VM0]);
  });

  it('says so when the guest shut down instead', async () => {
    world.model.obeys = new Set();
    await start('vm0');
    const rebooting = reboot();
    await expect.poll(() => calls('rebootDomain').length).toBeGreaterThan(0);
    world.model.shutdownDomain(VM0);
    world.model.destroyDomain(VM0);
    await expect(rebooting).rejects.toMatchObject({ code: 'vm.not-running', message: 'VM vm0 is off: it did not reboot.' });
  });
});

describe('reset', () => {
  it('asks no guest; a suspended VM runs afterwards', async () => {
    world.model.obeys = new Set();
    await start();
    await suspend('vm1');
    const seen = resets();
    await reset();
    expect(seen.toSorted()).toEqual([VM0, VM1]);
    expect(states()).toEqual({ [VM0]: 'running', [VM1]: 'running' });
    await reset('vm1');
    expect(seen).toHaveLength(3);
  });
});
