import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EngineError } from '../../../src-shared/errors.ts';
import { DISK_NAME, nameProblem } from '../../../src-shared/init-file/name-rules.ts';
import type { DiskSpec, VmSpec } from '../../../src-shared/specs.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { checkForeignImage, imageKind } from '../disk/foreign-image.ts';
import { requireSpace } from '../disk/free-space.ts';
import { type UnpackedOva, unpackOva } from '../disk/ova.ts';
import { convertImage, measureConversion } from '../disk/qemu-img.ts';
import type { DiskJob, OvaImport } from '../plan/plan-disks.ts';
import type { PrefixPaths } from '../prefix/layout.ts';
import { type OvfMachine, readOvf } from './ovf.ts';

/** OVAs are large, and unpacking one keeps the disk busy. */
const IMPORTS = 2;

/** The imported VMs: specs with the OVA's memory, CPUs and disks, and the jobs that create these disks. */
export interface ImportedVms {
  readonly vms: readonly VmSpec[];
  readonly jobs: readonly DiskJob[];
}

interface Imported {
  readonly machine: OvfMachine;
  /** For each disk of the machine: the image below the VM's own disk. */
  readonly images: readonly { readonly path: string; readonly format: string }[];
}

/**
 * Unpacks every OVA once, below `ova/` in the prefix, and applies it to the VMs that use it: memory and CPUs are overwritten, its disks
 * come first, starting at vda. VMDK disks become qcow2. Other VMs are unchanged.
 */
export async function importOvas(vms: readonly VmSpec[], ovas: readonly OvaImport[], paths: PrefixPaths, step: Step): Promise<ImportedVms> {
  if (ovas.length === 0) return { vms, jobs: [] };
  const firstUsers = new Map(ovas.toReversed().map((ova) => [ova.from, ova.vm]));
  await mkdir(paths.ova, { recursive: true });
  const imported = new Map<string, Imported>();
  await step.each(
    [...firstUsers],
    IMPORTS,
    ([, vm]) => `Import OVA for VM ${vm}`,
    async ([from, vm], one) => {
      imported.set(from, await importOva(from, join(paths.ova, vm), one));
    },
  );
  const jobs: DiskJob[] = [];
  const merged = vms.map((vm) => {
    const from = ovas.find((ova) => ova.vm === vm.name)?.from;
    const own = from === undefined ? undefined : imported.get(from);
    if (own === undefined) return vm;
    const result = mergeMachine(vm, own);
    jobs.push(...result.jobs);
    return result.vm;
  });
  return { vms: merged, jobs };
}

async function importOva(from: string, folder: string, step: Step): Promise<Imported> {
  const url = from.startsWith('/') ? pathToFileURL(from).href : from;
  const unpacked = await step.step(
    'Unpack',
    async (one) => await unpackOva(url, folder, { signal: one.signal, log: one.log, progress: one.progress }),
    { weight: 3 },
  );
  const what = `The OVA ${from}`;
  const machine = readOvf(unpacked.description, unpacked.descriptionName, new Set(unpacked.files.keys()), what);
  await removeUnused(unpacked, machine);
  const images = await step.each(
    machine.disks,
    1,
    (disk) => `Take over disk ${disk.name}`,
    async (disk, one) => await takeOver(unpacked.files.get(disk.file) ?? '', `The disk ${disk.file} of ${from}`, one),
  );
  return { machine, images };
}

/** Unused foreign files would only be exported and backed up with the prefix. */
async function removeUnused(unpacked: UnpackedOva, machine: OvfMachine): Promise<void> {
  const used = new Set(machine.disks.map((disk) => disk.file));
  for (const [name, path] of unpacked.files) if (!used.has(name)) await rm(path, { force: true });
}

/** Checks an image and converts it, if needed, to one that can back an overlay. */
async function takeOver(path: string, what: string, step: Step): Promise<{ readonly path: string; readonly format: string }> {
  const kind = await imageKind(path);
  if (kind !== 'qcow2' && kind !== 'raw' && kind !== 'vmdk' && kind !== 'iso') {
    throw new EngineError('remote.invalid', `${what} is of the format ${kind}, which is not supported.`, {
      hint: 'Use VMDK, qcow2 or raw.',
    });
  }
  const format = kind === 'iso' ? 'raw' : kind;
  await checkForeignImage(path, format, what, step.signal);
  if (format !== 'vmdk') return { path, format };
  const converted = `${path}.qcow2`;
  const request = { from: path, fromFormat: format, to: converted, toFormat: 'qcow2' } as const;
  await requireSpace(dirname(path), await measureConversion(request, { signal: step.signal }), what);
  await convertImage(request, { signal: step.signal, onFraction: (fraction) => step.progress(fraction, 'converting to qcow2') });
  await rm(path).catch((error: unknown) => {
    throw diskError(error, path);
  });
  return { path: converted, format: 'qcow2' };
}

function mergeMachine(vm: VmSpec, { machine, images }: Imported): { readonly vm: VmSpec; readonly jobs: readonly DiskJob[] } {
  const names = new Set(vm.disks.map((disk) => disk.name));
  const devices = new Set(vm.disks.map((disk) => disk.dev));
  const jobs: DiskJob[] = [];
  const disks = machine.disks.map((disk, index): DiskSpec => {
    const name = freeName(disk.name, names);
    const dev = freeDevice(vm, devices);
    const path = `$LAGO_PREFIX_PATH/images/${vm.name}_${name}.qcow2`;
    const image = images[index];
    if (image === undefined) throw new EngineError('internal', `Disk ${disk.name} of VM ${vm.name} was not imported.`);
    jobs.push({ vm: vm.name, disk: name, path, format: 'qcow2', kind: 'layer', image: image.path, imageFormat: image.format });
    return { type: 'template', template_type: 'qcow2', format: 'qcow2', dev, name, path, metadata: { 'root-partition': '/dev/sda1' } };
  });
  return {
    vm: { ...vm, memory: machine.memory ?? vm.memory, vcpu: machine.vcpu ?? vm.vcpu, disks: [...disks, ...vm.disks] },
    jobs,
  };
}

/** The OVA's name of the disk, as in Lago, if it is valid in our file names. */
function freeName(wanted: string, names: Set<string>): string {
  let name = nameProblem(wanted, DISK_NAME) === undefined ? wanted : 'ova';
  for (let count = 2; names.has(name); count++) name = `ova-${count}`;
  names.add(name);
  return name;
}

function freeDevice(vm: VmSpec, devices: Set<string>): string {
  for (const letter of 'abcdefghijklmnopqrstuvwxyz') {
    const dev = `vd${letter}`;
    if (devices.has(dev)) continue;
    devices.add(dev);
    return dev;
  }
  throw new EngineError('input.invalid', `VM ${vm.name} has no device left for the disks of its OVA.`);
}
