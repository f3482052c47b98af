import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { writeJson } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { beginWork, type Journal } from '../prefix/journal.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import type { PendingWork, PrefixRecord, SnapshotRecord } from '../prefix/record.ts';
import { activeVms, PARALLEL } from '../runtime/bring-down.ts';
import { openSession } from '../runtime/bring-up.ts';
import { isHosted } from '../runtime/foreign-vms.ts';
import { realizeDomain, undefineDomain } from '../runtime/realize.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';
import { type TakeOptions, takeLayered } from './layers/take.ts';
import {
  deleteFromDisks,
  deleteFromVm,
  deleteUnknown,
  escapeXml,
  forgetFiles,
  keepXml,
  keptDefinition,
  keptHostKeys,
  onceFree,
  recordInSpecs,
  recordOf,
  resume,
  resumeForSure,
  runningVms,
  statusOf,
} from './snapshot-parts.ts';
import { fullDiskInstead, requireSpace } from './snapshot-space.ts';
import { suspendAll } from './suspend-all.ts';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_. +-]{0,62}$/;
/** Saving memory to a slow disk, and deleting it again, may take minutes. */
const UNDO_MS = 15 * 60_000;

/** `input.invalid` for an invalid name of a snapshot, or of `what`: it becomes a folder name and libvirt's name. */
export function checkSnapshotName(name: string, what = "a snapshot's name"): void {
  if (NAME.test(name) && !name.includes('..')) return;
  throw new EngineError('input.invalid', `"${name}" cannot be ${what}.`, {
    hint: 'Use up to 63 letters, digits, spaces, dots, plus, minus and underscores, beginning with a letter or digit.',
  });
}

/** `snapshot.exists` when the environment has a snapshot of that name. */
export function requireFreeName({ snapshots }: PrefixRecord, environment: string, name: string): void {
  if (!snapshots.some((snapshot) => snapshot.name === name)) return;
  throw new EngineError('snapshot.exists', `${environment} has a snapshot "${name}" already.`, {
    hint: `Choose another name, or delete that one first: lago snapshot --delete "${name}".`,
  });
}

function requireSnapshottable(vm: VmSpec): void {
  const disk = vm.disks.find((candidate) => candidate.format !== 'qcow2' && candidate.format !== 'iso' && candidate.readonly !== true);
  if (disk === undefined) return;
  throw new EngineError('snapshot.unsupported', `VM ${vm.name} cannot be snapshotted: its disk "${disk.name}" is ${disk.format}.`, {
    hint: 'Snapshots need qcow2 disks: write "format: qcow2" in the init file.',
  });
}

/**
 * Whether snapshots of the prefix are of layers. Not on another machine, where QEMU cannot reach this one to write memory; and one that has
 * internal snapshots goes on with these, since both kinds in one disk's file exclude each other.
 */
export function usesLayers(prefix: Prefix): boolean {
  const { host, snapshots } = recordOf(prefix);
  return host.kind !== 'remote' && snapshots.every(({ kind }) => kind === 'layers');
}

/**
 * Takes a snapshot of a prefix opened for change: running VMs are paused together, saved with their memory, and resumed together; VMs that
 * were already paused are saved and stay paused; those that are off are saved with their disks. All or nothing.
 */
export async function takeSnapshotOf(
  context: RecipeContext,
  prefix: Prefix,
  name: string,
  step: Step,
  how: TakeOptions = {},
): Promise<void> {
  const record = recordOf(prefix);
  requireFreeName(record, prefix.name, name);
  if (usesLayers(prefix)) {
    await takeLayered(context, prefix, name, step, how);
    return;
  }
  if (how.diskOnly === true) {
    throw new EngineError('snapshot.unsupported', `${prefix.name} has no snapshots of disks alone while its VMs run.`, {
      hint: 'Stop the VMs first, or leave out --disk-only. Snapshots of an older version, or of another machine, are of that kind.',
    });
  }
  const all = prefix.specs.vms.filter((vm) => isHosted(context.plugins, vm));
  for (const vm of all) requireSnapshottable(vm);
  const found = await context.hosts.find(prefix, step.signal);
  const active = found === undefined ? [] : await activeVms(found, prefix, step.signal);
  const running = found === undefined ? [] : await runningVms(found, prefix, active, step.signal);
  await requireSpace(prefix, active, { host: found?.host });
  const work: Omit<PendingWork, 'since'> = {
    kind: 'snapshot',
    name,
    step: 'taking',
    vms: all.map((vm) => vm.name),
    running: running.map((vm) => vm.name),
    hostWasUp: found !== undefined,
  };
  const journal = await beginWork(prefix, work, { log: step.log });
  let hangs = false;
  await using undo = new UndoStack(step.log);
  undo.add(
    `take back snapshot ${name}`,
    async (signal) => {
      await takeBack(context, prefix, { ...work, since: 0 }, signal, hangs ? 0 : undefined);
      await journal.settle();
    },
    { timeoutMs: UNDO_MS },
  );
  const session = await openSession(context, prefix, step, undo);
  await suspendAll(session, prefix, running, step, () => {
    hangs = true;
  });
  const off = all.filter((vm) => !active.includes(vm));
  const kinds = await saveAll(session, prefix, name, { all, off }, step, undo);
  await resumeAll(session, prefix, running, step);
  for (const vm of off) await undefineDomain(session, prefix, vm, step.signal);
  await keepHostKeys(prefix, name);
  for (const vm of all) await writeJson(keptDefinition(prefix, name, vm), vm);
  await recordInSpecs(prefix, (vm) => ({ ...vm.snapshots, [name]: vm.disks }));
  step.checkpoint();
  await recordSnapshot(journal, { name, vms: kinds, automatic: how.automatic }, undo);
  if (found === undefined) await context.hosts.stop(prefix);
}

/** The single write that makes the snapshot exist. */
async function recordSnapshot(journal: Journal, made: Pick<SnapshotRecord, 'name' | 'vms' | 'automatic'>, undo: UndoStack): Promise<void> {
  await journal.settle(
    (record): PrefixRecord => ({
      ...record,
      snapshots: [...record.snapshots, { ...made, kind: 'internal', createdAt: Date.now(), parent: record.current }],
      current: made.name,
    }),
  );
  undo.commit();
}

async function keepHostKeys(prefix: Prefix, name: string): Promise<void> {
  const { openHostKeys } = await import('../guest/host-keys.ts');
  await openHostKeys(prefix.paths.hostKeys).keep(keptHostKeys(prefix, name));
}

async function saveAll(
  session: HostSession,
  prefix: Prefix,
  name: string,
  vms: { readonly all: readonly VmSpec[]; readonly off: readonly VmSpec[] },
  step: Step,
  undo: UndoStack,
): Promise<Record<string, 'memory' | 'disk'>> {
  const kinds: Record<string, 'memory' | 'disk'> = {};
  await step.each(
    vms.all,
    PARALLEL,
    (vm) => `Snapshot VM ${vm.name}`,
    async (vm, one) => {
      const off = vms.off.includes(vm);
      if (off) await realizeDomain(session, prefix, vm, one.signal, undo);
      const xml = `<domainsnapshot><name>${escapeXml(name)}</name></domainsnapshot>`;
      try {
        await session.hypervisor.createSnapshot(domainName(prefix.uuid, vm.name), xml, {}, { signal: one.signal });
      } catch (error) {
        throw await fullDiskInstead(prefix, vm, error, session.host);
      }
      kinds[vm.name] = off ? 'disk' : 'memory';
      await keepXml(session, prefix, vm, name, one.signal);
    },
  );
  return kinds;
}

async function resumeAll(session: HostSession, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  await step.each(
    vms,
    Math.max(1, vms.length),
    (vm) => `Resume VM ${vm.name}`,
    async (vm, one) => await resume(session, prefix, [vm], one.signal),
  );
}

/**
 * Undoes an unfinished snapshot, whoever began it: VMs that ran resume, and no trace is left in any VM, disk or file. If libvirt is still
 * working on it, waits up to `patienceMs` (default: minutes). If the host is gone, only the disks are cleaned.
 */
export async function takeBack(
  context: RecipeContext,
  prefix: Prefix,
  work: PendingWork,
  signal: AbortSignal,
  patienceMs?: number,
): Promise<void> {
  const name = work.name ?? '';
  const session = await context.hosts.find(prefix, signal);
  const vms = prefix.specs.vms.filter((vm) => work.vms.includes(vm.name));
  // In parallel: a VM that does not respond must not delay the others.
  const outcomes = await Promise.allSettled(
    vms.map(
      async (vm) => await takeBackFrom(context, session, prefix, vm, { name, ran: work.running.includes(vm.name), patienceMs }, signal),
    ),
  );
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  await forgetFiles(prefix, name);
  if (session !== undefined && !work.hostWasUp && (await activeVms(session, prefix, signal)).length === 0) await context.hosts.stop(prefix);
}

async function takeBackFrom(
  context: RecipeContext,
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  about: { readonly name: string; readonly ran: boolean; readonly patienceMs: number | undefined },
  signal: AbortSignal,
): Promise<void> {
  const domain = domainName(prefix.uuid, vm.name);
  const now = session === undefined ? undefined : await statusOf(session, prefix, vm, signal);
  if (session === undefined || now === undefined) {
    await deleteFromDisks(context, prefix, vm, about.name, signal);
    return;
  }
  if (now.id < 0) {
    await deleteFromVm(session, prefix, vm, about.name, signal);
    await onceFree(signal, async () => await session.hypervisor.undefineDomain(domain, { signal }));
    await deleteFromDisks(context, prefix, vm, about.name, signal);
    return;
  }
  // Both wait until libvirt's job is over; afterwards its list of snapshots is final. A VM that is running although it was not before was
  // started or resumed since.
  if (about.ran) await resumeForSure(session, prefix, vm, signal, about.patienceMs);
  else if (now.state === 'paused') await onceFree(signal, async () => await session.hypervisor.suspendDomain(domain, { signal }));
  await deleteUnknown(session, prefix, vm, about.name, signal);
  await deleteFromVm(session, prefix, vm, about.name, signal);
}
