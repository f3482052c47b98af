import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { SnapshotMeasured } from '../../../../src-shared/snapshot/timeline.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { writeJson } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { type MemorySink, memorySinks, memorySocket, type SinkPlace } from '../../host/memory-sink.ts';
import { beginWork, type Journal } from '../../prefix/journal.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { PendingWork, PrefixRecord, SnapshotRecord } from '../../prefix/record.ts';
import { activeVms, PARALLEL } from '../../runtime/bring-down.ts';
import { isHosted } from '../../runtime/foreign-vms.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { Convoy } from '../memory/convoy.ts';
import { keepDomain, keepOrigin, keptMemory } from '../memory/kept-memory.ts';
import { type Mechanism, type MemoryWriting, mechanismFor, memoryWriting } from '../memory/write-memory.ts';
import { keptDefinition, keptHostKeys, recordOf, resume, runningVms } from '../snapshot-parts.ts';
import { requireSpace } from '../snapshot-space.ts';
import { suspendAll } from '../suspend-all.ts';
import { noteFrozen } from './frozen-files.ts';
import { createLayers, keepLayers, type Layers, onLayers, planLayers, type VmLayers } from './layer-files.ts';
import { freeze, thaw } from './quiesce.ts';
import { type Standing, watchStanding } from './standing.ts';
import { LAYERING, takeBackLayers } from './take-back.ts';

/** Deleting a half-written memory and merging a layer back may take minutes on a slow disk. */
const UNDO_MS = 15 * 60_000;
const MIB = 1024 * 1024;
/** Resuming VMs is a matter of milliseconds. */
const GO_ON_MS = 60_000;

export interface TakeOptions {
  /** Folders of the forks that it is taken for: until `settlePending` it is theirs only, and an interruption removes it with them. */
  readonly forks?: readonly string[];
  /** Nobody asked for it. */
  readonly automatic?: boolean;
  /** Without memory: a revert to it leaves the VMs off, and their disks as if the power had failed then. */
  readonly diskOnly?: boolean | undefined;
  /** With `diskOnly`: guests first write everything to their disks, by their agents. */
  readonly quiesce?: boolean | undefined;
}

/** A VM whose memory is kept too. */
interface Live {
  readonly vm: VmSpec;
  readonly domain: string;
  /** It was suspended by somebody, and stays so. */
  readonly suspended: boolean;
  readonly writing: MemoryWriting;
}

/**
 * Takes a snapshot by freezing the disks as they are under new layers, and writing memory into files, while the VMs stand still only
 * for the moment that is kept. All or nothing: on failure the VMs run on, and no part of it is left.
 */
export async function takeLayered(context: RecipeContext, prefix: Prefix, name: string, step: Step, how: TakeOptions = {}): Promise<void> {
  const began = performance.now();
  const all = prefix.specs.vms.filter((vm) => isHosted(context.plugins, vm));
  const session = await context.hosts.find(prefix, step.signal);
  const active = session === undefined ? [] : await activeVms(session, prefix, step.signal);
  const running = session === undefined ? [] : await runningVms(session, prefix, active, step.signal);
  await requireSpace(prefix, how.diskOnly === true ? [] : active, { host: session?.host });
  const work: Omit<PendingWork, 'since'> = {
    kind: 'snapshot',
    name,
    step: LAYERING,
    vms: all.map((vm) => vm.name),
    running: running.map((vm) => vm.name),
    hostWasUp: session !== undefined,
    ...(how.forks === undefined ? {} : { forks: [...how.forks] }),
  };
  const journal = await beginWork(prefix, work, { log: step.log });
  await using undo = new UndoStack(step.log);
  undo.add(
    `take back snapshot ${name}`,
    async (signal) => {
      await takeBackLayers(context, prefix, { ...work, since: 0 }, step.log, signal);
      await journal.settle();
    },
    { timeoutMs: UNDO_MS },
  );
  const layers = planLayers(prefix, all);
  await step.step('Prepare layers', async (one) => await prepareLayers(prefix, name, all, layers, one));
  const vms = { active, running, layers };
  const moment =
    session === undefined || active.length === 0
      ? NOTHING
      : how.diskOnly === true
        ? await keepDisks(session, prefix, name, vms, how.quiesce === true, step)
        : await keepLive(context, session, prefix, name, vms, step);
  for (const vm of all) {
    const after = onLayers(prefix, vm, layers[vm.name] ?? {});
    await writeJson(prefix.paths.vm(vm.name), { ...after, snapshots: { ...vm.snapshots, [name]: vm.disks } });
  }
  const { openHostKeys } = await import('../../guest/host-keys.ts');
  await openHostKeys(prefix.paths.hostKeys).keep(keptHostKeys(prefix, name));
  await noteFrozen(prefix);
  step.checkpoint();
  const measured: SnapshotMeasured = { ...moment, durationMs: Math.round(performance.now() - began) };
  const kinds = Object.fromEntries(
    all.map((vm) => [vm.name, how.diskOnly !== true && active.includes(vm) ? ('memory' as const) : ('disk' as const)]),
  );
  await recordLayered(prefix, journal, work, { kinds, measured, automatic: how.automatic, log: step.log });
  undo.commit();
}

/** VMs that are not off, those of them that are not suspended, and the new layers of all. */
interface Vms {
  readonly active: readonly VmSpec[];
  readonly running: readonly VmSpec[];
  readonly layers: Layers;
}

type Moment = Omit<SnapshotMeasured, 'durationMs'>;
const NOTHING: Moment = { mechanism: null, stillMs: {}, skewMs: 0, memory: {} };

async function prepareLayers(prefix: Prefix, name: string, vms: readonly VmSpec[], layers: Layers, step: Step): Promise<void> {
  await mkdir(join(prefix.paths.snapshots, name), { recursive: true, mode: 0o700 });
  await keepLayers(prefix, name, layers);
  for (const vm of vms) await writeJson(keptDefinition(prefix, name, vm), vm);
  await step.each(
    vms,
    PARALLEL,
    (vm) => `Create layers of VM ${vm.name}`,
    async (vm, one) => await createLayers(prefix, vm, layers[vm.name] ?? {}, one.signal),
  );
}

/** Keeps the disks and memory of the VMs that are not off, as of one moment. */
async function keepLive(context: RecipeContext, session: HostSession, prefix: Prefix, name: string, vms: Vms, step: Step): Promise<Moment> {
  const open = context.openSinks ?? memorySinks(context.resourcesDir);
  await using sinks = await open(vms.active.map((vm) => sinkOf(session, prefix, name, vm)));
  await using undo = new UndoStack(step.log, UNDO_MS);
  using watch = watchStanding(
    session,
    vms.active.map((vm) => domainName(prefix.uuid, vm.name)),
  );
  const live = await step.step(
    'Prepare memory',
    async (one) => await prepareMemory(session, prefix, name, { ...vms, sinks: sinks.sinks, watch }, one, undo),
  );
  try {
    step.checkpoint();
    // From here on, nothing is cancelled until the VMs run again.
    const from = performance.now();
    await suspendAll(session, prefix, vms.running, step);
    watch.allStand(from);
    await Promise.all(live.map(async ({ vm, domain }) => await addLayers(session, domain, vms.layers[vm.name] ?? {})));
    await Promise.all(live.map(async ({ writing }) => await writing.begin()));
    const sizes = await step.each(
      live,
      Math.max(1, live.length),
      ({ vm }) => `Keep memory of VM ${vm.name}`,
      async (one, inner) => await finishMemory(session, prefix, one, watch, inner),
    );
    return {
      mechanism: strongest(live),
      ...watch.measured((domain) => live.find((one) => one.domain === domain)?.vm.name ?? domain),
      memory: Object.fromEntries(live.map(({ vm }, index) => [vm.name, sizes[index] ?? 0])),
    };
  } catch (error) {
    throw await endedInstead(session, live, error);
  }
}

/** The error in the user's words when a VM has ended, for which libvirt has others at each place. */
async function endedInstead({ hypervisor }: HostSession, live: readonly Live[], error: unknown): Promise<unknown> {
  if (!(error instanceof EngineError) || isCancelled(error)) return error;
  const known = await hypervisor.listDomains({ signal: AbortSignal.timeout(GO_ON_MS) }).catch(() => undefined);
  // libvirt itself is in trouble, which the error says.
  if (known === undefined) return error;
  const ended = live.find(({ domain }) => !known.some(({ name, id }) => name === domain && id >= 0));
  if (ended === undefined) return error;
  return new EngineError('hypervisor.failed', `VM ${ended.vm.name} ended while the snapshot was taken.`, {
    cause: error,
    hint: `Look at its console (lago console ${ended.vm.name}), or start it again: lago start ${ended.vm.name}.`,
  });
}

/** Keeps the disks of the VMs that are not off, as of one moment. */
async function keepDisks(
  session: HostSession,
  prefix: Prefix,
  name: string,
  { active, running, layers }: Vms,
  quiesce: boolean,
  step: Step,
): Promise<Moment> {
  const byDomain = new Map(active.map((vm) => [domainName(prefix.uuid, vm.name), vm]));
  using watch = watchStanding(session, [...byDomain.keys()]);
  if (quiesce) await step.step('Quiesce guests', async (one) => await freeze(session, prefix, name, running, one.signal));
  step.checkpoint();
  // From here on, nothing is cancelled until the VMs run again.
  const from = performance.now();
  await suspendAll(session, prefix, running, step);
  watch.allStand(from);
  await Promise.all([...byDomain].map(async ([domain, vm]) => await addLayers(session, domain, layers[vm.name] ?? {})));
  await resume(session, prefix, running, AbortSignal.timeout(GO_ON_MS));
  for (const vm of running) watch.goesOn(domainName(prefix.uuid, vm.name));
  if (quiesce) await thaw(session, prefix, name, running, step.log, AbortSignal.timeout(GO_ON_MS));
  return { ...NOTHING, ...watch.measured((domain) => byDomain.get(domain)?.name ?? domain) };
}

async function prepareMemory(
  session: HostSession,
  prefix: Prefix,
  name: string,
  { active, running, sinks, watch }: Vms & { readonly sinks: readonly MemorySink[]; readonly watch: Standing },
  step: Step,
  undo: UndoStack,
): Promise<readonly Live[]> {
  await keepOrigin(session, prefix, name);
  const convoy = new Convoy(new Map(active.map((vm) => [domainName(prefix.uuid, vm.name), vm.memory * MIB])));
  return await step.each(
    active,
    Math.max(1, active.length),
    (vm) => `Prepare VM ${vm.name}`,
    async (vm, one): Promise<Live> => {
      const domain = domainName(prefix.uuid, vm.name);
      const suspended = !running.includes(vm);
      const mechanism = await mechanismFor(session.hypervisor, domain, suspended, one.signal);
      one.log.debug(`The memory of VM ${vm.name} is kept by ${mechanism}.`);
      await keepDomain(session, prefix, name, vm, one.signal);
      const sink = sinks[active.indexOf(vm)];
      if (sink === undefined) throw new EngineError('internal', `There is no sink for the memory of ${vm.name}.`);
      const writing = memoryWriting(session.hypervisor, { domain, mechanism, sink, convoy });
      undo.add(`stop writing the memory of ${vm.name}`, async () => await writing[Symbol.asyncDispose]());
      if ((await writing.prepare(one.signal)) === 'stands') watch.stands(domain);
      return { vm, domain, suspended, writing };
    },
  );
}

function sinkOf(session: HostSession, prefix: Prefix, snapshot: string, vm: VmSpec): SinkPlace {
  const socket = memorySocket(session.host.socketDir, domainName(prefix.uuid, vm.name));
  return { socket, file: keptMemory(prefix, snapshot, vm.name) };
}

async function addLayers({ hypervisor }: HostSession, domain: string, layers: VmLayers): Promise<void> {
  const list = Object.entries(layers).map(([disk, path]) => ({ disk, path }));
  if (list.length > 0) await hypervisor.addLayers(domain, list, { reuse: true });
}

async function finishMemory(session: HostSession, prefix: Prefix, live: Live, watch: Standing, step: Step): Promise<number> {
  const expected = live.vm.memory * MIB;
  const bytes = await live.writing.finish(step.signal, (written) => step.progress(Math.min(0.99, written / expected)));
  if (live.writing.mechanism !== 'background' && !live.suspended) {
    await resume(session, prefix, [live.vm], AbortSignal.timeout(GO_ON_MS));
    watch.goesOn(live.domain);
  }
  return bytes;
}

/** The mechanism to be told: the one that made a VM stand longest. */
function strongest(live: readonly Live[]): Mechanism {
  const used = live.filter(({ suspended }) => !suspended).map(({ writing }) => writing.mechanism);
  return used.includes('paused') ? 'paused' : used.includes('pre-copy') ? 'pre-copy' : (used[0] ?? 'paused');
}

/** The single write that makes the snapshot exist. One for forks stays pending, and nothing is based on it. */
async function recordLayered(
  prefix: Prefix,
  journal: Journal,
  work: Omit<PendingWork, 'since'>,
  made: {
    readonly kinds: SnapshotRecord['vms'];
    readonly measured: SnapshotMeasured;
    readonly automatic: boolean | undefined;
    readonly log: Log;
  },
): Promise<void> {
  const name = work.name ?? '';
  const add = (record: PrefixRecord): PrefixRecord => {
    const { kinds: vms, measured, automatic } = made;
    const snapshots: SnapshotRecord[] = [
      ...record.snapshots,
      { name, kind: 'layers', createdAt: Date.now(), parent: record.current, vms, measured, automatic },
    ];
    return { ...record, snapshots, current: work.forks === undefined ? name : record.current };
  };
  if (work.forks === undefined) await journal.settle(add);
  else await beginWork({ ...prefix, record: add(recordOf(prefix)) }, { ...work, kind: 'fork', step: 'copying' }, made);
}
