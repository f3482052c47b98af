import { EngineError } from '../../../../src-shared/errors.ts';
import type { EnvironmentSpecs } from '../../../../src-shared/specs.ts';
import { changeLabel, type VmChange, type VmChanged } from '../../../../src-shared/vm-change.ts';
import { writeJson } from '../../core/files/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { beginWork } from '../../prefix/journal.ts';
import { domainName, type Prefix, vmSpec } from '../../prefix/prefix.ts';
import { isHosted } from '../../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { collectLayers } from '../../snapshot/layers/collect.ts';
import { snapshotBefore } from '../automatic-snapshot.ts';
import { openForChange } from '../recover.ts';
import { changeCd } from './cd.ts';
import { addDisk, removeDisk } from './disks.ts';
import type { Edit, EditContext } from './edit.ts';
import { finishChange } from './finish-change.ts';
import { changeMemory } from './memory.ts';
import { addNic, removeNic, setLink } from './nics.ts';

/** A guest has 20 s to let go of a device, and another device may have to be taken back. */
const UNDO_MS = 2 * 60_000;

/**
 * Changes devices or memory of a VM: at once if it runs, and for its later starts, since the definition keeps it. On failure the
 * definition and the running VM are as they were. `input.invalid` for what the VM does not have or cannot get, `not-available` for a VM
 * that libvirt does not run, `hypervisor.failed` when its guest does not let go of a device.
 */
export async function changeVm(context: RecipeContext, root: string, name: string, change: VmChange, step: Step): Promise<VmChanged> {
  await snapshotBefore(context, root, 'vm', step);
  await using opened = await openForChange(context, root, 'vm', step);
  const { prefix } = opened;
  requireReady(prefix);
  const vm = vmSpec(prefix, name);
  if (!isHosted(context.plugins, vm)) {
    throw new EngineError('not-available', `${vm.name} is not run by libvirt: it can be started and stopped, nothing else.`);
  }
  const session = await context.hosts.find(prefix, step.signal);
  const domain = await session?.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal: step.signal });
  const running = domain !== undefined && domain.id >= 0;
  const edit = await editFor({ context, prefix, vm, running, step }, change);
  return await step.step(changeLabel(vm.name, change), async (one) => {
    const journal = await beginWork(
      prefix,
      { kind: 'vm', name: null, step: 'changing', vms: [vm.name], running: [], hostWasUp: session !== undefined },
      { log: one.log },
    );
    await using undo = new UndoStack(one.log, UNDO_MS);
    undo.add(`go back to ${vm.name} as it was`, async (signal) => {
      await writeDefinition(prefix, edit.specs, prefix.specs);
      await finishChange(context, prefix, [vm.name], { signal, log: one.log });
      await journal.settle();
    });
    if (edit.prepare !== undefined) await one.step('Create the image', edit.prepare);
    await one.step('Write the definition', async () => await writeDefinition(prefix, prefix.specs, edit.specs));
    const waiting = await one.step(
      running ? 'Change the running VM' : 'Tidy up',
      async (last) => await finishChange(context, prefix, [vm.name], last),
    );
    undo.commit();
    await journal.settle();
    if (change.kind === 'remove-disk') await collectLayers(context, prefix, one);
    const notes = [...edit.notes, ...waiting];
    for (const note of notes) one.note(note);
    return { notes };
  });
}

async function editFor(about: EditContext, change: VmChange): Promise<Edit> {
  switch (change.kind) {
    case 'link':
      return setLink(about, change);
    case 'cd':
      return await changeCd(about, change);
    case 'add-disk':
      return await addDisk(about, change);
    case 'remove-disk':
      return await removeDisk(about, change);
    case 'add-nic':
      return addNic(about, change);
    case 'remove-nic':
      return removeNic(about, change);
    case 'memory':
      return changeMemory(about, change);
  }
}

/**
 * Writes what differs. The VMs come last: whatever the networks have about a card that no VM has is left out by `finishChange`, so that the
 * write of the VM alone decides whether a change has happened.
 */
async function writeDefinition({ paths }: Prefix, before: EnvironmentSpecs, after: EnvironmentSpecs): Promise<void> {
  for (const net of after.nets) if (!before.nets.includes(net)) await writeJson(paths.net(net.name), net);
  for (const vm of after.vms) if (!before.vms.includes(vm)) await writeJson(paths.vm(vm.name), vm);
}
