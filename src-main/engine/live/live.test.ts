import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LiveEvent } from '../../../src-shared/contract.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import { silentLog } from '../core/log.ts';
import { bootId, startTimeOf } from '../core/process-identity.ts';
import type { FakeHypervisor } from '../libvirt/hypervisor.fake.ts';
import { DeployRecorder, neverRun } from '../prefix/deploy-record.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { domainName, readPrefix, writeSpecs } from '../prefix/prefix.ts';
import { type PendingWork, readRecord, writeRecord } from '../prefix/record.ts';
import { createWorld, UUID, type World, writePrefix } from '../recipes/world.test-support.ts';
import { type KnownEnvironments, knownEnvironments } from './known.ts';
import { createLive, type Live } from './live.ts';

let folder: string;
let root: string;
let live: Live;
let known: KnownEnvironments;
let world: World;
let holder: ChildProcess;
const events: LiveEvent[] = [];
const interrupted: PendingWork[] = [];

/** What the next reading of the list of environments waits for after it has read it. */
let held: Promise<void> | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-live-'));
  root = join(folder, 'demo');
  await writePrefix(root);
  known = knownEnvironments(join(folder, 'data'));
  await known.add(root);
  world = createWorld();
  events.length = interrupted.length = 0;
  live = createLive({
    known: {
      ...known,
      async list() {
        const until = held;
        held = undefined;
        const paths = await known.list();
        await until;
        return paths;
      },
    },
    context: world.context,
    log: silentLog,
    publish: (event) => events.push(event),
    interrupted: (_path, work) => interrupted.push(work),
  });
  holder = spawn('sleep', ['1000']);
  await once(holder, 'spawn');
});
afterEach(async () => {
  holder.kill('SIGKILL');
  await live[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** As a command writes it that takes the lock. */
async function lockedBy(pid: number, purpose: string, lock = prefixPaths(root).lock): Promise<void> {
  const identity = { pid, purpose, since: Date.now(), start: startTimeOf(pid), boot: bootId() };
  await writeFile(lock, JSON.stringify(identity));
}

test('a command that is killed without another word is noticed, and what it was doing is reported once', async () => {
  const { record } = prefixPaths(root);
  const pending: PendingWork = { kind: 'snapshot', name: 'half', step: 'taking', since: 1, vms: [], running: [], hostWasUp: false };
  const before = await readRecord(record);
  if (before === undefined) throw new Error('no record');
  await writeRecord(record, { ...before, pending });
  await lockedBy(holder.pid ?? 0, 'snapshot');
  const [state] = await live.begin();
  expect(state?.busy).toMatch(/^snapshot \(pid \d+/);
  expect(interrupted).toEqual([]);

  // Nothing is written any more from here on: the process is gone, and no file says so.
  holder.kill('SIGKILL');
  await expect.poll(() => live.states()[0]?.busy, { timeout: 15_000 }).toBeNull();
  await expect.poll(() => interrupted, { timeout: 15_000 }).toEqual([pending]);
  expect(events.at(-1)).toMatchObject({ type: 'prefix', prefix: { busy: null } });
});

test('a libvirt that goes away and comes back is followed: unknown meanwhile, then right again, read afresh', async () => {
  const prefix = await readPrefix(root);
  const session = await world.context.hosts.open(prefix, silentLog, new AbortController().signal);
  const hypervisor = session.hypervisor as FakeHypervisor;
  await hypervisor.defineDomain(`<domain><name>${domainName(UUID, 'vm0')}</name></domain>`);
  await hypervisor.startDomain(domainName(UUID, 'vm0'));
  const seen = (): unknown => {
    const state = live.states()[0];
    return [state?.host.status, state?.vms[0]?.status];
  };
  await live.begin();
  expect(seen()).toEqual(['up', 'running']);
  hypervisor.disconnect('the daemon died');
  await expect.poll(seen, { timeout: 15_000 }).toEqual(['unusable', 'unknown']);
  // Missed by everybody: no event tells of it.
  world.model.suspendDomain(domainName(UUID, 'vm0'));
  hypervisor.reconnect();
  await expect.poll(seen, { timeout: 15_000 }).toEqual(['up', 'paused']);
});

test('a deploy that is killed is noticed: its script shows as interrupted', async () => {
  const paths = prefixPaths(root);
  const { specs } = await readPrefix(root);
  const metadata = { 'deploy-scripts': ['$LAGO_PREFIX_PATH/scripts/a.sh'] };
  await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => ({ ...vm, metadata })) });
  const recorder = new DeployRecorder(paths, { version: 1, vms: {} });
  recorder.setAll('vm0', [{ ...neverRun('a.sh'), state: 'running', startedAt: 1, run: 'r' }]);
  await recorder.save();
  await lockedBy(holder.pid ?? 0, 'deploy', paths.deployLock);
  const stateOf = (states: readonly PrefixState[]): string | undefined => states[0]?.deploy[0]?.scripts[0]?.state;
  expect(stateOf(await live.begin())).toBe('running');
  holder.kill('SIGKILL');
  await expect.poll(() => stateOf(live.states()), { timeout: 15_000 }).toBe('interrupted');
});

test('an environment that is added while an older list is still being read stays', async () => {
  await live.begin();
  let goOn = (): void => undefined;
  held = new Promise((resolve) => {
    goOn = resolve;
  });
  const older = live.reload();
  const second = join(folder, 'second');
  await writePrefix(second);
  await known.add(second);
  const newer = live.reload();
  // Unless they wait for each other, the newer one is done by now.
  await Promise.race([newer, new Promise((resolve) => setImmediate(resolve)).then(async () => await readPrefix(second))]);
  goOn();
  await Promise.all([older, newer]);
  expect(live.states().map(({ path }) => path)).toEqual([root, second]);
  expect(events.filter(({ type }) => type === 'prefix-gone')).toEqual([]);
});
