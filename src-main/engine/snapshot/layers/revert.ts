import { readFile } from 'node:fs/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { VmSpec } from '../../../../src-shared/specs.ts';
import { readJson } from '../../core/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { movedDomainXml } from '../../libvirt/xml/moved-domain.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { SnapshotRecord } from '../../prefix/record.ts';
import { noteStart } from '../../runtime/boot/boot-record.ts';
import { describeDomain, stableUuid } from '../../runtime/realize.ts';
import type { HostSession } from '../../runtime/session.ts';
import { keptDomain, keptMemory } from '../memory/kept-memory.ts';
import { restoreMemory } from '../memory/restore-memory.ts';
import { keptDefinition } from '../snapshot-parts.ts';
import { onLayers, type VmLayers, writableDisks } from './layer-files.ts';

/** The VM as the snapshot has it, its disks on new layers. `snapshot.missing` when its definition is not there. */
export async function definitionAt(prefix: Prefix, snapshot: SnapshotRecord, vm: VmSpec, layers: VmLayers): Promise<VmSpec> {
  const then = await readJson(keptDefinition(prefix, snapshot.name, vm), VmSpec);
  if (then === undefined)
    throw new EngineError('snapshot.missing', `The snapshot "${snapshot.name}" has lost its definition of VM ${vm.name}.`);
  return onLayers(prefix, { ...then, snapshots: vm.snapshots }, layers);
}

/** Lets a VM go on from the snapshot's memory, paused and persistent like any other. It must be off. `now` is its definition on new layers. */
export async function restoreVm(session: HostSession, prefix: Prefix, snapshot: SnapshotRecord, now: VmSpec, step: Step): Promise<void> {
  const domain = domainName(prefix.uuid, now.name);
  await using undo = new UndoStack(step.log);
  undo.add(`undefine ${domain}`, async (signal) => await session.hypervisor.undefineDomain(domain, { signal }));
  await session.hypervisor.defineDomain(describeDomain(session, prefix, now));
  const xml = movedDomainXml(await readFile(keptDomain(prefix, snapshot.name, now.name), 'utf8'), {
    name: domain,
    uuid: stableUuid(prefix.uuid, now.name),
    disks: new Map(writableDisks(now).map(({ dev, path }) => [dev, expandPrefixPath(path, prefix.paths.root)])),
    instead: [],
  });
  await restoreMemory(session, { xml, file: keptMemory(prefix, snapshot.name, now.name) });
  undo.commit();
  await noteStart(prefix.paths, now.name, { continued: true, logs: session.host.logs }, step.log);
}
