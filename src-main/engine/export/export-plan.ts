import { posix } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { nearest } from '../../../src-shared/nearest.ts';
import type { DiskSpec, EnvironmentSpecs, VmSpec } from '../../../src-shared/specs.ts';
import { expandPrefixPath } from '../prefix/layout.ts';

/** One exported file. Several disks may share it. */
export interface ExportedFile {
  /** Absolute path of the image in the environment (or elsewhere, if used in place). */
  readonly source: string;
  /** Name in the exported folder, without `.xz`. */
  readonly name: string;
  readonly disk: DiskSpec;
  /** For messages: "root of web". */
  readonly what: string;
}

/** What to export, before anything is examined or created. */
export interface ExportPlan {
  readonly vms: readonly VmSpec[];
  readonly files: readonly ExportedFile[];
  /** Things that were requested but are left out, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Chooses VMs (all when none are named) and their disks. Skips VMs and disks with `skip-export`, and the seeds that `init` created, since
 * the next `init` creates its own. `vm.missing` with the most similar name; `input.invalid` when nothing is left.
 */
export function planExport(specs: EnvironmentSpecs, names: readonly string[], root: string): ExportPlan {
  const named = names.length === 0 ? specs.vms : [...new Set(names)].map((name) => namedVm(specs, name));
  const vms = named.filter((vm) => vm['skip-export'] !== true);
  const notes =
    names.length === 0 ? [] : named.filter((vm) => !vms.includes(vm)).map((vm) => `${vm.name} has skip-export and is left out.`);
  if (vms.length === 0) {
    throw new EngineError('input.invalid', 'There is no VM to export.', {
      hint: named.length === 0 ? 'The environment has none.' : 'All of them have skip-export.',
    });
  }
  return { vms: vms.map((vm) => ({ ...vm, disks: exportedDisks(vm, root) })), files: filesOf(vms, root), notes };
}

/** The exported disks of a VM, in order. */
function exportedDisks(vm: VmSpec, root: string): DiskSpec[] {
  return vm.disks.filter((disk) => disk['skip-export'] !== true && disk.path !== '' && !isSeed(disk, root));
}

/** Whether a disk is our own seed, made for this environment only. */
export function isSeed(disk: DiskSpec, root: string): boolean {
  return expandPrefixPath(disk.path, root).startsWith(`${root}/cloud-init/`);
}

function namedVm(specs: EnvironmentSpecs, name: string): VmSpec {
  const found = specs.vms.find((vm) => vm.name === name);
  if (found !== undefined) return found;
  const known = specs.vms.map((vm) => vm.name);
  const meant = nearest(name, known);
  throw new EngineError('vm.missing', `Entity ${name} does not exist`, {
    hint: meant === undefined ? `There are: ${known.join(', ')}.` : `Did you mean "${meant}"?`,
  });
}

function filesOf(vms: readonly VmSpec[], root: string): readonly ExportedFile[] {
  const files = new Map<string, ExportedFile>();
  const taken = new Set<string>();
  for (const vm of vms) {
    for (const disk of exportedDisks(vm, root)) {
      const source = expandPrefixPath(disk.path, root);
      if (files.has(source)) continue;
      const base = posix.basename(source);
      const name = taken.has(base) ? `${vm.name}_${disk.name}_${base}` : base;
      if (taken.has(name)) {
        throw new EngineError('input.invalid', `Two disks would be exported as ${name}.`, {
          hint: 'Export them one after the other, with --vm-names.',
        });
      }
      taken.add(name);
      files.set(source, { source, name, disk, what: `${disk.name} of ${vm.name}` });
    }
  }
  return [...files.values()];
}

/** Keys of a saved VM that `init` creates anew, or that record where it once came from. */
const OWN_KEYS = new Set(['name', 'snapshots', 'mgmt_net', 'type', 'url', 'disks', 'metadata', 'cloud-init', 'balloon']);
const OWN_DISK_KEYS = new Set([
  'metadata',
  'path',
  'build',
  'url',
  'size',
  'template_name',
  'template_version',
  'template_type',
  'readonly',
]);

export interface DefinitionOptions {
  readonly root: string;
  /** File names in the exported folder of the VMs' `user-data` files. */
  readonly userData: ReadonlyMap<string, string>;
}

/**
 * The init file that recreates the exported environment: the saved specs without whatever belongs to this environment (names, mappings,
 * snapshots, deploy scripts, metadata of disks, DNS records), with disks beside the file.
 */
export function exportedDefinition(specs: EnvironmentSpecs, plan: ExportPlan, options: DefinitionOptions): Record<string, unknown> {
  const names = new Map(plan.files.map((file) => [file.source, file.name]));
  return {
    domains: Object.fromEntries(
      plan.vms.map((vm) => {
        const saved = specs.vms.find((one) => one.name === vm.name) ?? vm;
        const after = saved['start-after']?.filter((name) => plan.vms.some((one) => one.name === name));
        return [vm.name, definedVm({ ...saved, 'start-after': after }, vm.disks, names, options)];
      }),
    ),
    nets: Object.fromEntries(
      specs.nets.map((net) => [net.name, without(net, new Set(['name', 'mapping', 'dns_records', 'dns_forward']))] as const),
    ),
  };
}

function without(value: Readonly<Record<string, unknown>>, keys: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key, one]) => !keys.has(key) && one !== undefined));
}

function definedVm(vm: VmSpec, disks: readonly DiskSpec[], names: ReadonlyMap<string, string>, options: DefinitionOptions): unknown {
  const { 'deploy-scripts': _scripts, 'ovirt-scripts': _old, ...metadata } = vm.metadata;
  const first = vm.disks[0]?.metadata ?? {};
  return {
    ...without(vm, OWN_KEYS),
    ...(vm.distro === undefined && typeof first['distro'] === 'string' ? { distro: first['distro'] } : {}),
    ...(vm['bootstrap'] === undefined ? bootstrapOf(vm, options.root) : {}),
    ...(vm['cloud-init'] === undefined ? {} : { 'cloud-init': cloudInitOf(vm, options.userData) }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    disks: disks.map((disk) => definedDisk(disk, names.get(expandPrefixPath(disk.path, options.root)) ?? '', options.root)),
  };
}

/** How to customize the image: the template's metadata said so, but an exported image has none. */
function bootstrapOf(vm: VmSpec, root: string): { readonly bootstrap?: unknown } {
  if (vm.disks.some((disk) => isSeed(disk, root))) return { bootstrap: 'cloud-init' };
  const advised = vm.disks[0]?.metadata['bootstrap'];
  return advised === 'virt-sysprep' || advised === 'cloud-init' || advised === 'none' ? { bootstrap: advised } : {};
}

function cloudInitOf(vm: VmSpec, userData: ReadonlyMap<string, string>): unknown {
  const file = userData.get(vm.name);
  const own = vm['cloud-init'];
  return file === undefined || typeof own !== 'object' ? own : { ...own, 'user-data': { path: file } };
}

/** The `user-data` file of a VM, as written in its definition. */
export function userDataPath(vm: VmSpec): string | undefined {
  const own = vm['cloud-init'] as { readonly 'user-data'?: { readonly path?: unknown } } | undefined;
  const path = own?.['user-data']?.path;
  return typeof path === 'string' ? path : undefined;
}

function definedDisk(disk: DiskSpec, name: string, root: string): unknown {
  const layer = disk.type === 'template';
  // Disks created for this environment are copied on use, so that the export can be used repeatedly.
  const copy = !layer && (disk['make_a_copy'] === true || (disk.format !== 'iso' && disk.readonly !== true) || inPrefix(disk, root));
  const builds = keyBuilds(disk['build']);
  return {
    ...without(disk, OWN_DISK_KEYS),
    type: layer ? 'template' : 'file',
    ...(layer ? { template_type: 'qcow2' } : {}),
    ...(copy ? { make_a_copy: true } : {}),
    ...(builds.length === 0 ? {} : { build: builds }),
    path: `$LAGO_INITFILE_PATH/${name}`,
  };
}

function inPrefix(disk: DiskSpec, root: string): boolean {
  return expandPrefixPath(disk.path, root).startsWith(`${root}/`);
}

/** Builders have already changed the disk; only an environment's key is different each time. */
function keyBuilds(build: unknown): readonly unknown[] {
  if (!Array.isArray(build)) return [];
  return build.flatMap((step: unknown) => {
    const options = (step as Readonly<Record<string, Readonly<Record<string, unknown>> | null>> | null)?.['virt-customize'];
    const inject = options?.['ssh-inject'];
    return inject === '' || inject === null ? [{ 'virt-customize': { 'ssh-inject': '' } }] : [];
  });
}
