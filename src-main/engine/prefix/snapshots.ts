import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { writeFileAtomic, writeJson } from '../core/json-file.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import type { DomainStatus } from '../libvirt/hypervisor.ts';
import { prefixPaths } from './layout.ts';
import { activeVms, openSession, PARALLEL, startNetworks } from './lifecycle.ts';
import { isHosted } from './machines.ts';
import { domainName, type Prefix, readPrefix } from './prefix.ts';
import { realizeDomain, undefineDomain } from './realize.ts';
import { lockPrefix, type RecipeContext, requireReady } from './recipe.ts';
import { type PrefixRecord, type SnapshotRecord, writeRecord } from './record.ts';
import type { Session } from './session.ts';

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_. +-]{0,62}$/;

function checkName(name: string): void {
  if (NAME.test(name) && !name.includes('..')) return;
  throw new EngineError('input.invalid', `"${name}" cannot be a snapshot's name.`, {
    hint: 'Use up to 63 letters, digits, spaces, dots, plus, minus and underscores, beginning with a letter or digit.',
  });
}

function recordOf(prefix: Prefix): PrefixRecord {
  if (prefix.record !== undefined) return prefix.record;
  throw new EngineError('snapshot.unsupported', `${prefix.name} was made by an older Lago: its snapshots are not managed here.`, {
    hint: 'Create the environment again from its init file to use snapshots.',
  });
}

function requireSnapshottable(vm: VmSpec): void {
  const disk = vm.disks.find((candidate) => candidate.format !== 'qcow2' && candidate.format !== 'iso' && candidate.readonly !== true);
  if (disk === undefined) return;
  throw new EngineError('snapshot.unsupported', `VM ${vm.name} cannot be snapshotted: its disk "${disk.name}" is ${disk.format}.`, {
    hint: 'Snapshots need qcow2 disks: write "format: qcow2" in the init file.',
  });
}

async function describe(session: Session, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<DomainStatus | undefined> {
  return await session.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal });
}

function escapeXml(text: string): string {
  return text.replace(/[<>&'"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/**
 * Takes a snapshot of the whole environment at one moment: running VMs are paused together, saved with their memory, and resumed
 * together; VMs that are off are saved with their disks. All or nothing: when one fails, those taken are deleted.
 * `snapshot.exists`, `snapshot.unsupported`, `input.invalid`.
 */
export async function takeSnapshot(context: RecipeContext, root: string, name: string, step: Step): Promise<void> {
  checkName(name);
  await using _lock = await lockPrefix(prefixPaths(root), 'snapshot', step.signal);
  const prefix = await readPrefix(root);
  requireReady(prefix);
  await step.step(`Create snapshot ${name}`, async (inner) => await takeLocked(context, prefix, name, inner));
}

async function takeLocked(context: RecipeContext, prefix: Prefix, name: string, step: Step): Promise<PrefixRecord> {
  const record = recordOf(prefix);
  if (record.snapshots.some((snapshot) => snapshot.name === name)) {
    throw new EngineError('snapshot.exists', `${prefix.name} has a snapshot "${name}" already.`, { hint: 'Choose another name.' });
  }
  const all = prefix.specs.vms.filter((vm) => isHosted(context.plugins, vm));
  for (const vm of all) requireSnapshottable(vm);
  const wasUp = (await context.hosts.find(prefix, step.signal)) !== undefined;
  await using undo = new UndoStack(step.log);
  const session = await openSession(context, prefix, step, undo);
  const vms: Record<string, 'memory' | 'disk'> = {};
  const active = await activeVms(session, prefix, step.signal);
  const off = all.filter((vm) => !active.includes(vm));

  undo.add('forget the snapshot', async () => {
    await rm(join(prefix.paths.snapshots, name), { recursive: true, force: true });
    await writeRecord(prefix.paths.record, record);
    await recordInSpecs(prefix, (vm) => vm.snapshots);
  });
  await pauseAll(session, prefix, active, step, undo);
  await step.each(
    all,
    PARALLEL,
    (vm) => `Snapshot VM ${vm.name}`,
    async (vm, one) => {
      const domain = domainName(prefix.uuid, vm.name);
      if (off.includes(vm)) await realizeDomain(session, prefix, vm, one.signal, undo);
      undo.add(`delete snapshot ${name} of ${vm.name}`, async (signal) => await deleteIfThere(session, domain, name, signal));
      await session.hypervisor.createSnapshot(
        domain,
        `<domainsnapshot><name>${escapeXml(name)}</name></domainsnapshot>`,
        {},
        { signal: one.signal },
      );
      vms[vm.name] = off.includes(vm) ? 'disk' : 'memory';
      await keepXml(session, prefix, vm, name, one.signal);
    },
  );
  await resumeAll(session, prefix, active, step);
  for (const vm of off) await undefineDomain(session, prefix, vm, step.signal);
  const next: PrefixRecord = {
    ...record,
    snapshots: [...record.snapshots, { name, createdAt: Date.now(), parent: record.current, vms }],
    current: name,
  };
  await writeRecord(prefix.paths.record, next);
  await recordInSpecs(prefix, (vm) => ({ ...vm.snapshots, [name]: vm.disks }));
  undo.commit();
  if (!wasUp) await context.hosts.stop(prefix);
  return next;
}

/** For the undo: whether libvirt made it before the call failed is not known. */
async function deleteIfThere(session: Session, domain: string, name: string, signal: AbortSignal): Promise<void> {
  const known = await session.hypervisor.listSnapshots(domain, { signal });
  if (known.some((snapshot) => snapshot.name === name)) await session.hypervisor.deleteSnapshot(domain, name, {}, { signal });
}

/** Pauses all of them at once, so that every VM stands at the same moment; undone by resuming. */
async function pauseAll(session: Session, prefix: Prefix, vms: readonly VmSpec[], step: Step, undo: UndoStack): Promise<void> {
  undo.add('resume the VMs', async (signal) => await resume(session, prefix, vms, signal));
  await step.each(
    vms,
    vms.length,
    (vm) => `Pause VM ${vm.name}`,
    async (vm, one) => {
      const now = await describe(session, prefix, vm, one.signal);
      if (now?.state === 'running') await session.hypervisor.suspendDomain(domainName(prefix.uuid, vm.name), { signal: one.signal });
    },
  );
}

async function resumeAll(session: Session, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  await step.each(
    vms,
    Math.max(1, vms.length),
    (vm) => `Resume VM ${vm.name}`,
    async (vm, one) => {
      await resume(session, prefix, [vm], one.signal);
    },
  );
}

async function resume(session: Session, prefix: Prefix, vms: readonly VmSpec[], signal: AbortSignal): Promise<void> {
  await Promise.all(
    vms.map(async (vm) => {
      const now = await describe(session, prefix, vm, signal);
      if (now?.state === 'paused') await session.hypervisor.resumeDomain(now.name, { signal });
    }),
  );
}

/** Keeps libvirt's own description beside the prefix, so that the snapshot can be told to a libvirt that has forgotten it. */
async function keepXml(session: Session, prefix: Prefix, vm: VmSpec, name: string, signal: AbortSignal): Promise<void> {
  const folder = join(prefix.paths.snapshots, name);
  await mkdir(folder, { recursive: true });
  const xml = await session.hypervisor.snapshotXml(domainName(prefix.uuid, vm.name), name, { signal });
  await writeFileAtomic(join(folder, `${vm.name}.xml`), xml, 0o600);
}

async function recordInSpecs(prefix: Prefix, snapshots: (vm: VmSpec) => VmSpec['snapshots']): Promise<void> {
  await Promise.all(prefix.specs.vms.map(async (vm) => await writeJson(prefix.paths.vm(vm.name), { ...vm, snapshots: snapshots(vm) })));
}

function findSnapshot(prefix: Prefix, name: string): SnapshotRecord {
  const found = recordOf(prefix).snapshots.find((snapshot) => snapshot.name === name);
  if (found !== undefined) return found;
  const names = recordOf(prefix).snapshots.map((snapshot) => snapshot.name);
  throw new EngineError('snapshot.missing', `${prefix.name} has no snapshot "${name}".`, {
    hint: names.length === 0 ? 'It has none yet: take one with "lago snapshot NAME".' : `It has: ${names.join(', ')}.`,
  });
}

/**
 * Puts the whole environment back to a snapshot: all VMs are paused, all reverted, and those that were saved with memory resumed
 * together; those saved off end off. `first` keeps the present under that name before. `snapshot.missing`, `hypervisor.failed`
 * (the message names the VMs that were and were not reverted).
 */
export async function revertSnapshot(
  context: RecipeContext,
  root: string,
  name: string,
  first: string | undefined,
  step: Step,
): Promise<void> {
  if (first !== undefined) checkName(first);
  await using _lock = await lockPrefix(prefixPaths(root), 'revert', step.signal);
  let prefix = await readPrefix(root);
  requireReady(prefix);
  const snapshot = findSnapshot(prefix, name);
  if (first !== undefined) {
    await step.step(`Create snapshot ${first}`, async (inner) => await takeLocked(context, prefix, first, inner));
    prefix = await readPrefix(root);
  }
  await step.step(`Revert to snapshot ${name}`, async (inner) => await revertLocked(context, prefix, snapshot, inner));
}

async function revertLocked(context: RecipeContext, prefix: Prefix, snapshot: SnapshotRecord, step: Step): Promise<void> {
  await using undo = new UndoStack(step.log);
  const session = await openSession(context, prefix, step, undo);
  const vms = prefix.specs.vms.filter((vm) => snapshot.vms[vm.name] !== undefined);
  const withMemory = vms.filter((vm) => snapshot.vms[vm.name] === 'memory');
  if (withMemory.length > 0) await startNetworks(session, prefix, prefix.specs.nets, step, undo);
  const active = await activeVms(session, prefix, step.signal);
  await pauseAll(session, prefix, active, step, undo);
  for (const vm of vms.filter((candidate) => !active.includes(candidate))) await realizeDomain(session, prefix, vm, step.signal, undo);
  step.checkpoint();
  // From the first VM on the present is lost: nothing is undone any more, and cancelling waits for the end.
  undo.commit();
  const failures = await revertAll(session, prefix, snapshot, vms, step);
  await resume(session, prefix, withMemory, AbortSignal.timeout(60_000));
  for (const vm of vms.filter((candidate) => snapshot.vms[candidate.name] === 'disk')) {
    await undefineDomain(session, prefix, vm, AbortSignal.timeout(60_000));
  }
  await writeRecord(prefix.paths.record, { ...recordOf(prefix), current: snapshot.name });
  if ((await activeVms(session, prefix, AbortSignal.timeout(60_000))).length === 0) await context.hosts.stop(prefix);
  if (failures.size === 0) return;
  const done = vms.filter((vm) => !failures.has(vm.name)).map((vm) => vm.name);
  throw new EngineError(
    'hypervisor.failed',
    `Not reverted: ${[...failures.keys()].join(', ')}. Reverted: ${done.length === 0 ? 'none' : done.join(', ')}. ${[...failures.values()][0] ?? ''}`,
    { hint: 'Revert again, or look at the log for libvirt’s own words.' },
  );
}

async function revertAll(
  session: Session,
  prefix: Prefix,
  snapshot: SnapshotRecord,
  vms: readonly VmSpec[],
  step: Step,
): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>();
  await step.step('Revert VMs', async (all) => {
    const tasks = vms.map(
      async (vm) =>
        await all
          .step(`Revert VM ${vm.name}`, async () => {
            const how = snapshot.vms[vm.name] === 'memory' ? ({ state: 'paused' } as const) : {};
            await session.hypervisor.revertSnapshot(domainName(prefix.uuid, vm.name), snapshot.name, how);
          })
          .catch((error: unknown) => {
            failures.set(vm.name, error instanceof Error ? error.message : String(error));
          }),
    );
    await Promise.all(tasks);
  });
  return failures;
}

/** Deletes a snapshot of all VMs; those that were built on it hang on its parent afterwards. */
export async function removeSnapshot(context: RecipeContext, root: string, name: string, step: Step): Promise<void> {
  await using _lock = await lockPrefix(prefixPaths(root), 'delete-snapshot', step.signal);
  const prefix = await readPrefix(root);
  requireReady(prefix);
  const snapshot = findSnapshot(prefix, name);
  await step.step(`Delete snapshot ${name}`, async (inner) => {
    await using undo = new UndoStack(inner.log);
    const wasUp = (await context.hosts.find(prefix, inner.signal)) !== undefined;
    const session = await openSession(context, prefix, inner, undo);
    const active = await activeVms(session, prefix, inner.signal);
    const vms = prefix.specs.vms.filter((vm) => snapshot.vms[vm.name] !== undefined);
    await inner.each(
      vms,
      PARALLEL,
      (vm) => `Delete from VM ${vm.name}`,
      async (vm, one) => {
        if (!active.includes(vm)) await realizeDomain(session, prefix, vm, one.signal, undo);
        await session.hypervisor.deleteSnapshot(domainName(prefix.uuid, vm.name), name, {}, { signal: one.signal });
        // What stood on it now stands on its parent: the kept descriptions must say so too.
        for (const other of recordOf(prefix).snapshots) {
          if (other.name !== name && other.vms[vm.name] !== undefined) await keepXml(session, prefix, vm, other.name, one.signal);
        }
        if (!active.includes(vm)) await undefineDomain(session, prefix, vm, one.signal);
      },
    );
    const record = recordOf(prefix);
    await writeRecord(prefix.paths.record, {
      ...record,
      snapshots: record.snapshots
        .filter((candidate) => candidate.name !== name)
        .map((candidate) => (candidate.parent === name ? { ...candidate, parent: snapshot.parent } : candidate)),
      current: record.current === name ? snapshot.parent : record.current,
    });
    await recordInSpecs(prefix, (vm) => Object.fromEntries(Object.entries(vm.snapshots).filter(([key]) => key !== name)));
    await rm(join(prefix.paths.snapshots, name), { recursive: true, force: true });
    undo.commit();
    if (!wasUp) await context.hosts.stop(prefix);
  });
}
