import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { injectFault } from '../core/fault.ts';
import { silentLog } from '../core/log.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { fingerprint, openHostKeys } from '../guest/host-keys.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { readRecord, writeRecord } from '../prefix/record.ts';
import { observe, prefixState } from '../runtime/observed/state.ts';
import { requireSpace } from '../snapshot/snapshot-space.ts';
import { inconsistencies } from './consistency.test-support.ts';
import { cleanUpEnvironment, destroyEnvironment } from './destroy.ts';
import { atEachPoint } from './each-point.test-support.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { shutDownEnvironment } from './shutdown.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { createWorld, OLD_SNAPSHOT, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;
const VM0 = domainName(UUID, 'vm0');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-work-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root, { internalSnapshots: true });
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

async function doing(work: (step: Step) => Promise<void>, signal?: AbortSignal): Promise<void> {
  await startOperation({ kind: 'start', label: 'test', signal }, async (step) => await work(step)).done;
}
const start = async (...vms: string[]): Promise<void> =>
  await doing(async (step) => await startEnvironment(world.context, root, vms, step));
const stop = async (...vms: string[]): Promise<void> => await doing(async (step) => await stopEnvironment(world.context, root, vms, step));
const shutDown = async (): Promise<void> => await doing(async (step) => await shutDownEnvironment(world.context, root, {}, step));
const take = async (name: string, signal?: AbortSignal): Promise<void> =>
  await doing(async (step) => await takeSnapshot(world.context, root, name, step), signal);
const revert = async (name: string): Promise<void> =>
  await doing(async (step) => await revertSnapshot(world.context, root, name, undefined, step));
const remove = async (name: string): Promise<void> => await doing(async (step) => await removeSnapshot(world.context, root, name, step));
const destroy = async (): Promise<void> => await doing(async (step) => await destroyEnvironment(world.context, root, step));
const cleanUp = async (): Promise<void> => await doing(async (step) => await cleanUpEnvironment(world.context, root, step));

const wrong = async (): Promise<readonly string[]> => await inconsistencies(root, world);

const VERBS: Readonly<Record<string, { readonly prepare: () => Promise<void>; readonly work: () => Promise<void> }>> = {
  start: { prepare: async () => await Promise.resolve(), work: start },
  'start of the rest': { prepare: async () => await start('vm0'), work: start },
  snapshot: { prepare: async () => await start('vm0'), work: async () => await take('new') },
  'snapshot of VMs that are off': { prepare: async () => await Promise.resolve(), work: async () => await take('new') },
  revert: { prepare: async () => await oneRunning(), work: async () => await revert('base') },
  'revert of what is off': {
    prepare: async () => {
      await oneRunning();
      await stop();
    },
    work: async () => await revert('base'),
  },
  delete: { prepare: async () => await oneRunning(), work: async () => await remove('base') },
  stop: { prepare: async () => await start(), work: stop },
  shutdown: { prepare: async () => await start(), work: shutDown },
  cleanup: { prepare: async () => await oneRunning(), work: cleanUp },
};

async function oneRunning(): Promise<void> {
  await start('vm0');
  await take('base');
}

const NEXT: readonly (readonly [string, () => Promise<void>])[] = [
  ['start', start],
  ['snapshot', async () => await take('after')],
  ['revert', async () => await revert('base')],
  ['delete', async () => await remove('base')],
  ['stop', stop],
  ['shutdown', shutDown],
  ['cleanup', cleanUp],
];

/** Does the verb with a fault at each point in turn, and `check`s after each. */
async function atEachPointOf(
  verb: string,
  how: 'fail' | 'die',
  check: (point: string, at: number, before: unknown) => Promise<void>,
): Promise<number> {
  const tried = VERBS[verb];
  if (tried === undefined) throw new Error(`no verb ${verb}`);
  let before: unknown;
  const prepare = async (): Promise<void> => {
    await rm(root, { recursive: true, force: true });
    world = createWorld();
    await writePrefix(root, { internalSnapshots: true });
    await tried.prepare();
    before = world.describe();
  };
  return await atEachPoint(how, { prepare, work: tried.work }, async (point, at) => {
    await check(`${verb} at ${at}, ${point}`, at, before);
  });
}

describe.each(Object.keys(VERBS))('%s', { timeout: 120_000 }, (verb) => {
  it('that fails at any step leaves a consistent environment', async () => {
    const points = await atEachPointOf(verb, 'fail', async (point, _at, before) => {
      if (verb.startsWith('start') || verb.startsWith('snapshot')) {
        expect([point, world.describe(), await wrong()]).toEqual([point, before, []]);
      }
      // Work past the point of no return stays pending, and is continued; a stop is either repeated or not.
      const left = (await readPrefix(root)).record?.pending?.kind ?? null;
      expect([point, left]).toEqual([point, expect.toBeOneOf([null, verb === 'delete' ? 'delete-snapshot' : 'revert'])]);
      if (!['stop', 'shutdown', 'cleanup'].includes(verb) && left === null) expect([point, await wrong()]).toEqual([point, []]);
      if (!(await readPrefix(root)).initialized) {
        expect([point, world.describe()]).toEqual([point, expect.objectContaining({ up: false, domains: [] })]);
        return await cleanUp();
      }
      await start();
      expect([point, await wrong(), (await readPrefix(root)).record?.pending]).toEqual([point, [], null]);
    });
    expect(points).toBeGreaterThan(3);
  });

  it('that is killed at any step is finished or undone by the next verb', async () => {
    await atEachPointOf(verb, 'die', async (point, at) => {
      const [name, next] = NEXT[at % NEXT.length] ?? ['start', start];
      const error = await next().then(
        () => undefined,
        (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
      );
      const { initialized } = await readPrefix(root);
      const mayMiss = name === 'revert' || name === 'delete' ? /has no snapshot/ : /^$/;
      const allowed = verb === 'cleanup' && !initialized ? /was cleaned up/ : mayMiss;
      if (error !== undefined) expect(`${point}, then ${name}: ${error}`).toMatch(allowed);
      const { record } = await readPrefix(root);
      if (record?.pending !== null) {
        // Verbs that stop everything do not continue a half-done revert; the next start does.
        expect([point, name, record?.pending?.kind]).toEqual([point, expect.stringMatching(/^(stop|shutdown|cleanup)$/), 'revert']);
        expect(world.describe()).toMatchObject({ up: false, domains: [] });
        return;
      }
      expect([point, name, await wrong()]).toEqual([point, name, []]);
    });
  });

  it('that is killed can be followed by destroy', async () => {
    let at = 0;
    await atEachPointOf(verb, 'die', async (point) => {
      if (at++ % 3 !== 0) return;
      await destroy();
      expect([point, await readdir(folder), world.up]).toEqual([point, [], false]);
    });
  });
});

describe('a revert that was killed in the middle', () => {
  it('is continued by the next start, even when everything was stopped before', async () => {
    await atEachPointOf('revert', 'die', async (point) => {
      const pending = (await readPrefix(root)).record?.pending;
      if (pending?.kind !== 'revert' || pending.step !== 'reverting') return;
      await stop();
      expect((await readPrefix(root)).record?.pending?.step).toBe('reverting');
      await start('vm0');
      expect([point, await wrong()]).toEqual([point, []]);
      expect((await readPrefix(root)).record).toMatchObject({ pending: null, current: 'base' });
    });
  });
});

describe('a revert whose end fails', () => {
  it('is not repeated over newer work', async () => {
    await start();
    await take('base');
    world.faults.failOn('resumeDomain', 1);
    await expect(revert('base')).rejects.toThrow();
    expect((await readPrefix(root)).record?.pending?.step).toBe('reverted');
    world.faults.clear();
    await take('newer');
    expect(world.faults.calls.filter((call) => call.method === 'revertSnapshot')).toEqual([]);
    expect((await readPrefix(root)).record).toMatchObject({ pending: null, current: 'newer' });
    expect(await wrong()).toEqual([]);
  });
});

describe('a stop that was killed', () => {
  it('does not later power off what it left running', async () => {
    await start();
    const run = injectFault({ at: 4, how: 'die' });
    await expect(stop()).rejects.toThrow();
    expect(run.struck).toBe(true);
    injectFault(undefined);
    const left = world.model.describe().domains.filter((domain) => domain.state === 'running').length;
    expect(left).toBeGreaterThan(0);
    await take('after');
    expect(world.model.describe().domains.filter((domain) => domain.state === 'running')).toHaveLength(left);
  });
});

describe('a VM paused by its user', () => {
  it('stays paused through a snapshot', async () => {
    await start();
    const session = await world.context.hosts.find(await readPrefix(root));
    await session?.hypervisor.suspendDomain(VM0);
    await take('base');
    const states = world.model.describe().domains.map((domain) => domain.state);
    expect(states).toEqual(['paused', 'running']);
  });
});

describe('a revert that succeeds in part', () => {
  it('leaves the others running, and the current snapshot unchanged', async () => {
    await start();
    await take('one');
    await take('two');
    world.faults.failOn('revertSnapshot', 1);
    await expect(revert('one')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    expect(world.model.describe().domains.map((domain) => domain.state)).toEqual(['running', 'running']);
    expect((await readPrefix(root)).record).toMatchObject({ current: 'two', pending: null });
    expect(await wrong()).toEqual([]);
  });

  it('does not undefine a running VM that was saved while off', async () => {
    await take('off');
    await start();
    world.faults.failOn('revertSnapshot', 1);
    await expect(revert('off')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    expect(world.model.describe().domains.map((domain) => domain.state)).toEqual(['running']);
  });
});

describe('cancelling a snapshot', () => {
  it.each(['suspendDomain', 'createSnapshot', 'resumeDomain'] as const)(
    'during %s waits for it, and leaves nothing of it',
    async (method) => {
      await start();
      const before = world.describe();
      world.faults.delay(method, 400);
      const abort = new AbortController();
      const taking = take('new', abort.signal);
      await expect.poll(() => world.faults.calls.some((call) => call.method === method)).toBe(true);
      abort.abort();
      await expect(taking).rejects.toMatchObject({ code: 'cancelled' });
      expect(world.describe()).toEqual(before);
      expect(await wrong()).toEqual([]);
    },
  );
});

describe('deleting a snapshot', () => {
  it('continues where it failed', async () => {
    await start();
    await take('base');
    world.faults.failOn('deleteSnapshot', 2);
    // As the snapshot is not in the disks, it then tries to delete only libvirt's metadata.
    world.faults.failOn('deleteSnapshot', 3);
    await expect(remove('base')).rejects.toMatchObject({ hint: expect.stringContaining('delete it again') as string });
    await remove('base');
    expect((await readPrefix(root)).record).toMatchObject({ snapshots: [{ name: OLD_SNAPSHOT }], pending: null, current: null });
    expect(await wrong()).toEqual([]);
  });
});

describe('host keys', () => {
  it('are reverted with the disks they are on', async () => {
    await start('vm0');
    await take('before the first login');
    const keys = openHostKeys((await readPrefix(root)).paths.hostKeys);
    await keys.pin('vm0', Buffer.from('first'));
    await take('with a key');
    await revert('before the first login');
    expect(await keys.check('vm0', Buffer.from('another'))).toBe('new');
    await keys.pin('vm0', Buffer.from('another'));
    await revert('with a key');
    expect(await keys.check('vm0', Buffer.from('first'))).toBe('same');
    expect(fingerprint(Buffer.from('first'))).toMatch(/^SHA256:/);
  });
});

describe('space', () => {
  it('is checked before anything is paused', async () => {
    const prefix = await readPrefix(root);
    await expect(requireSpace(prefix, prefix.specs.vms, { free: 300 * 1024 * 1024 })).rejects.toMatchObject({
      code: 'host.no-space',
      message: expect.stringMatching(/may need 608 MiB .* 300 MiB are free/) as string,
    });
    await requireSpace(prefix, prefix.specs.vms, { free: 2 ** 40 });
    await requireSpace(prefix, [], { free: 64 * 1024 * 1024 });
  });
});

describe('files that a killed command was writing', () => {
  it('are removed by the next verb, unless others write them too', async () => {
    const begun = ['lago-desktop.json.0123abcd.tmp', 'virt/vm-vm0.0123abcd.tmp', 'known-hosts.json.0123abcd.tmp'];
    for (const name of begun) await writeFile(join(root, name), '{');
    await start('vm0');
    const left = await readdir(root, { recursive: true });
    expect(left.filter((name) => name.endsWith('.tmp'))).toEqual(['known-hosts.json.0123abcd.tmp']);
  });
});

describe('the record', () => {
  it('of version 1 is read, and written as the current version', async () => {
    const path = (await readPrefix(root)).paths.record;
    const { pending: _none, ...old } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...old, version: 1 }));
    expect(await readRecord(path)).toMatchObject({ version: 3, pending: null, phase: 'ready' });
    await start();
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ version: 3, pending: null });
  });

  it('makes status report interrupted work', async () => {
    const prefix = await readPrefix(root);
    if (prefix.record === undefined) throw new Error('no record');
    const pending = { kind: 'snapshot', name: 'x', step: 'taking', since: 0, vms: ['vm0'], running: [], hostWasUp: false } as const;
    await writeRecord(prefix.paths.record, { ...prefix.record, pending: { ...pending, vms: [...pending.vms], running: [] } });
    const again = await readPrefix(root);
    const seen = await observe(again, world.context.hosts, { plugins: world.context.plugins, log: silentLog });
    const state = await prefixState(again, world.context.hosts, seen);
    expect(state.phase).toBe('ready');
    expect(state.problem).toBe('The snapshot “x” was interrupted. The next command on this environment takes it back.');
  });
});
