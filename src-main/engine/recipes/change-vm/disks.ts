import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { DiskSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { ADDED_IMAGES, type VmChange } from '../../../../src-shared/vm-change.ts';
import { fileBelow, isLayer } from '../../disk/layers.ts';
import { createEmptyDisk, parseSize } from '../../disk/qemu-img.ts';
import { openTrust } from '../../plan/trust.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { type Prefix, requireDisksHere } from '../../prefix/prefix.ts';
import { usesLayers } from '../../snapshot/take-snapshot.ts';
import { type Edit, type EditContext, withVm } from './edit.ts';
import { requireFile, requireTrusted } from './files.ts';

type AddDisk = VmChange & { kind: 'add-disk' };

/** A new, empty disk below the prefix, or an image of the user's, used where it is. */
export async function addDisk(about: EditContext, change: AddDisk): Promise<Edit> {
  const { prefix, vm } = about;
  requireDisksHere(prefix, 'Adding a disk');
  if ((change.size === undefined) === (change.file === undefined)) {
    throw new EngineError('input.invalid', 'A disk to be added needs a size or an image, not both.');
  }
  const dev = freeDevice(vm, change.bus === 'scsi' ? 'sd' : 'vd');
  const name = freeName(vm);
  const own = change.file === undefined ? undefined : await imageOf(about, change, change.file);
  const format = own?.format ?? change.format ?? 'qcow2';
  const path = own?.path ?? `$LAGO_PREFIX_PATH/${ADDED_IMAGES}/${vm.name}_${name}.${format}`;
  const disk: DiskSpec = { name, dev, format, type: own === undefined ? 'empty' : 'file', path, metadata: {} };
  const notes = [
    `It is disk ${name}, at ${dev}.`,
    ...(format === 'raw' && !canLayer(prefix) ? ['A VM with a raw disk cannot be snapshotted.'] : []),
  ];
  const specs = withVm(prefix, vm, { disks: [...vm.disks, disk] });
  if (change.size === undefined) return { specs, notes };
  const size = parseSize(change.size);
  return {
    specs,
    notes,
    async prepare({ signal }) {
      await mkdir(prefix.paths.addedImages, { recursive: true });
      const made = format === 'raw' ? 'raw' : 'qcow2';
      await createEmptyDisk({ path: expandPrefixPath(path, prefix.paths.root), format: made, size }, { signal });
    },
  };
}

/** Takes a disk out. Its image is removed only if `addDisk` made it, and is not part of a snapshot; its newest layer is removed. */
export async function removeDisk({ prefix, vm }: EditContext, { disk: wanted }: VmChange & { kind: 'remove-disk' }): Promise<Edit> {
  const disk = vm.disks.find(({ name, dev }) => name === wanted || dev === wanted);
  if (disk === undefined) {
    throw new EngineError('input.invalid', `VM ${vm.name} has no disk "${wanted}".`, {
      hint: `It has: ${vm.disks.map(({ name, dev }) => `${name} (${dev})`).join(', ')}.`,
    });
  }
  if (disk === vm.disks[0]) {
    throw new EngineError('input.invalid', `${disk.name} is the first disk of VM ${vm.name}, from which it boots.`);
  }
  const snapshots = Object.entries(vm.snapshots).flatMap(([name, disks]) => (disks.some(({ path }) => path === disk.path) ? [name] : []));
  if (disk.format === 'qcow2' && disk.readonly !== true && snapshots.length > 0) {
    throw new EngineError('conflict.locked', `Disk ${disk.name} of VM ${vm.name} is part of the snapshots ${snapshots.join(', ')}.`, {
      hint: `Delete them first: lago snapshot --delete "${snapshots[0]}".`,
    });
  }
  const path = expandPrefixPath(disk.path, prefix.paths.root);
  const lowest = await lowestOf(path);
  const made = lowest.startsWith(`${prefix.paths.addedImages}/`);
  const when = lowest === path ? '' : ', as it was when the first snapshot was taken';
  const notes = made || path === '' ? [] : [`Its image stays${when}: ${lowest}`];
  return { specs: withVm(prefix, vm, { disks: vm.disks.filter((one) => one !== disk) }), notes };
}

/** The file that a disk began with. */
async function lowestOf(path: string): Promise<string> {
  let lowest = path;
  while (isLayer(lowest)) lowest = (await fileBelow(lowest))?.path ?? '';
  return lowest;
}

async function imageOf({ context, prefix, step }: EditContext, change: AddDisk, file: string): Promise<{ path: string; format: string }> {
  const { real } = await requireFile(file, 'Disk image');
  const owner = prefix.specs.vms.find((vm) => vm.disks.some((disk) => expandPrefixPath(disk.path, prefix.paths.root) === real));
  if (owner !== undefined) throw new EngineError('conflict.locked', `${real} is a disk of VM ${owner.name} already.`);
  const trust = await openTrust({
    initFile: prefix.record?.initFile ?? join(prefix.paths.root, 'init'),
    templateStore: context.settings.templateStore,
    allowPaths: change.allowPaths ?? [],
    cwd: '/',
    home: homedir(),
  });
  const found = await requireTrusted(real, trust, step.signal);
  const format = change.format ?? found;
  if (found !== format || (format !== 'qcow2' && format !== 'raw')) {
    throw new EngineError('input.invalid', `${real} is ${found}, which a VM cannot use as ${change.format ?? 'a disk'}.`, {
      hint: 'Convert it: qemu-img convert -O qcow2.',
    });
  }
  return { path: real, format };
}

function canLayer(prefix: Prefix): boolean {
  return prefix.record !== undefined && usesLayers(prefix);
}

function freeDevice(vm: VmSpec, kind: 'vd' | 'sd'): string {
  const used = new Set(vm.disks.map(({ dev }) => dev));
  for (const letter of 'abcdefghijklmnopqrstuvwxyz') if (!used.has(`${kind}${letter}`)) return `${kind}${letter}`;
  throw new EngineError('input.invalid', `VM ${vm.name} has no place left for a disk.`);
}

function freeName(vm: VmSpec): string {
  const used = new Set(vm.disks.map(({ name }) => name));
  for (let number = vm.disks.length; ; number++) if (!used.has(`disk${number}`)) return `disk${number}`;
}
