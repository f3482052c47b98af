import { statSync } from 'node:fs';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { DiskSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { fileBelow } from '../../disk/layers.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { SnapshotRecord } from '../../prefix/record.ts';
import { noteStart } from '../../runtime/boot/boot-record.ts';
import { PARALLEL } from '../../runtime/bring-down.ts';
import { describeDomain } from '../../runtime/realize.ts';
import type { HostSession } from '../../runtime/session.ts';
import { domainHere, keptDomain, keptMemory } from '../memory/kept-memory.ts';
import { restoreMemory } from '../memory/restore-memory.ts';
import { keptDefinition } from '../snapshot-parts.ts';
import { createLayers, onLayers, planLayers } from './layer-files.ts';

/**
 * Creates new layers on the disks of a snapshot, and returns the VMs' definitions on them by name. Changes nothing that is in use.
 * `snapshot.missing` when a file of the snapshot is not there, or is not what it was.
 */
export async function prepareLayers(
  prefix: Prefix,
  snapshot: SnapshotRecord,
  vms: readonly VmSpec[],
  step: Step,
): Promise<ReadonlyMap<string, VmSpec>> {
  return await step.step('Prepare layers', async (all) => {
    const then = new Map<string, VmSpec>();
    for (const vm of vms) then.set(vm.name, await definitionAt(prefix, snapshot, vm));
    const layers = planLayers(prefix, [...then.values()]);
    await all.each(
      [...then.values()],
      PARALLEL,
      (vm) => `Create layers of VM ${vm.name}`,
      async (vm, one) => {
        const own = layers[vm.name] ?? {};
        await createLayers(prefix, vm, own, one.signal);
        then.set(vm.name, onLayers(prefix, vm, own));
      },
    );
    return then;
  });
}

/** The VM as the snapshot has it; what is known of snapshots is of now. */
async function definitionAt(prefix: Prefix, snapshot: SnapshotRecord, vm: VmSpec): Promise<VmSpec> {
  const then = await readJson(keptDefinition(prefix, snapshot.name, vm), VmSpec);
  // Merging may have moved what a disk's file had to another file since: the list of snapshots follows.
  const disks = z.array(DiskSpec).safeParse(vm.snapshots[snapshot.name]).data;
  if (then === undefined || disks === undefined) throw damaged(snapshot, vm, 'its definition is missing');
  for (const { path, format } of disks) {
    if (path !== '') await requireChain(snapshot, vm, expandPrefixPath(path, prefix.paths.root), format);
  }
  if (snapshot.vms[vm.name] === 'memory') {
    const memory = keptMemory(prefix, snapshot.name, vm.name);
    const [bytes, expected] = [sizeOf(memory), snapshot.measured?.memory[vm.name]];
    if (bytes === undefined) throw damaged(snapshot, vm, `${memory} is missing`);
    if (expected !== undefined && bytes !== expected) throw damaged(snapshot, vm, `${memory} has ${bytes} bytes instead of ${expected}`);
    if (sizeOf(keptDomain(prefix, snapshot.name, vm.name)) === undefined)
      throw damaged(snapshot, vm, 'its description for libvirt is missing');
  }
  return { ...then, disks, snapshots: vm.snapshots };
}

/** All files of a disk are there, and are what they should be. */
async function requireChain(snapshot: SnapshotRecord, vm: VmSpec, top: string, format: string): Promise<void> {
  let [path, kind]: [string, string] = [top, format];
  try {
    while (kind === 'qcow2') {
      const below = await fileBelow(path);
      if (below === undefined) return;
      [path, kind] = [below.path, below.format];
    }
  } catch (error) {
    throw damaged(snapshot, vm, error instanceof Error ? error.message : String(error), error);
  }
  if (sizeOf(path) === undefined) throw damaged(snapshot, vm, `${path} is missing`);
}

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

function damaged(snapshot: SnapshotRecord, vm: VmSpec, what: string, cause?: unknown): EngineError {
  return new EngineError('snapshot.missing', `The snapshot "${snapshot.name}" cannot be used: of VM ${vm.name}, ${what}.`, {
    cause,
    hint: `Nothing was changed. Delete it (lago snapshot --delete "${snapshot.name}"), and revert to another one.`,
  });
}

/**
 * Takes a VM to the snapshot: with its memory, paused, or off. `now` is its definition on new layers, of which the disks are written here;
 * see `revertDefinitions` for the rest. When its memory cannot be read the VM is off, and has the disks that it had.
 */
export async function revertLayered(
  session: HostSession,
  prefix: Prefix,
  snapshot: SnapshotRecord,
  now: VmSpec,
  step: Step,
): Promise<void> {
  const domain = domainName(prefix.uuid, now.name);
  const before = prefix.specs.vms.find(({ name }) => name === now.name) ?? now;
  await session.hypervisor.destroyDomain(domain);
  await session.hypervisor.undefineDomain(domain);
  await using undo = new UndoStack(step.log);
  undo.add(`leave the disks of ${now.name} as they were`, async () => await writeJson(prefix.paths.vm(now.name), before));
  await writeJson(prefix.paths.vm(now.name), { ...before, disks: now.disks });
  if (snapshot.vms[now.name] === 'memory') await restoreVm(session, prefix, snapshot, now, step);
  undo.commit();
}

/** Lets a VM go on from the snapshot's memory, paused and persistent like any other. It must be off. `now` is its definition on new layers. */
export async function restoreVm(session: HostSession, prefix: Prefix, snapshot: SnapshotRecord, now: VmSpec, step: Step): Promise<void> {
  const domain = domainName(prefix.uuid, now.name);
  await using undo = new UndoStack(step.log);
  undo.add(`undefine ${domain}`, async (signal) => {
    // libvirt may have begun.
    await session.hypervisor.destroyDomain(domain, { signal });
    await session.hypervisor.undefineDomain(domain, { signal });
  });
  await session.hypervisor.defineDomain(await describeDomain(session, prefix, now, step.signal));
  const xml = await domainHere(session, prefix, snapshot.name, now);
  await restoreMemory(session, { domain, xml, file: keptMemory(prefix, snapshot.name, now.name) });
  undo.commit();
  await noteStart(prefix.paths, now.name, { continued: true, logs: session.host.logs }, step.log);
}
