import { readFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { DiskSpec, type EnvironmentSpecs, VmSpec } from '../../../../src-shared/specs.ts';
import { readJson } from '../../core/files/json-file.ts';
import { readXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { readBackingNames } from '../../disk/qcow2-header.ts';
import { inspectImage } from '../../disk/qemu-img.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { keptDomain, keptOrigin } from '../../snapshot/memory/kept-memory.ts';
import { keptDefinition } from '../../snapshot/snapshot-parts.ts';
import { checkSnapshotName } from '../../snapshot/take-snapshot.ts';
import type { Manifest } from './manifest.ts';

/**
 * What an exported snapshot may not do: it comes from elsewhere, and descriptions and images in it could name files and devices of this
 * machine, or programs to run. Only what export writes is accepted.
 */

const OWN = '$LAGO_PREFIX_PATH/';
/** Devices of VMs and the type that each must have, if it has one. */
const DEVICES: Readonly<Record<string, string | undefined>> = {
  disk: 'file',
  controller: undefined,
  interface: 'network',
  serial: 'pty',
  console: 'pty',
  channel: 'unix',
  input: undefined,
  graphics: 'vnc',
  audio: 'none',
  video: undefined,
  memballoon: undefined,
  rng: undefined,
};
/** Controllers and the like have types that say nothing about this machine. */
const ANY_TYPE: ReadonlySet<string> = new Set(['controller', 'input']);
/** Paths that mean the same everywhere, or that libvirt chooses anew. */
const HARMLESS = /^\/dev\/(?:urandom|pts\/\d+)$|^\/machine$/;
const PARTS: ReadonlySet<string> = new Set(
  'name uuid metadata memory currentMemory maxMemory vcpu vcpus iothreads resource os features cpu clock on_poweroff on_reboot on_crash pm devices seclabel cputune numatune'.split(
    ' ',
  ),
);

/** `input.invalid` when a definition, description or image of an exported snapshot names anything that is not in the folder. */
export async function requireOwnFiles(source: Prefix, { snapshot, files }: Manifest, signal: AbortSignal): Promise<void> {
  checkSnapshotName(snapshot.name);
  requireOwnPaths(source.specs, snapshot.name, files);
  const origin = Object.values(snapshot.vms).includes('memory') ? await keptOrigin(source, snapshot.name) : undefined;
  for (const vm of source.specs.vms) {
    const then = await readJson(keptDefinition(source, snapshot.name, vm), VmSpec);
    if (then?.name !== vm.name) throw refused(`the definition of VM ${vm.name} is missing, or of another one`);
    if (origin === undefined || snapshot.vms[vm.name] !== 'memory') continue;
    const xml = await readFile(keptDomain(source, snapshot.name, vm.name), 'utf8');
    const problem = descriptionProblem(xml, [`${origin.root}/`, `${origin.socketDir}/`]);
    if (problem !== undefined) throw refused(`the description of VM ${vm.name} ${problem}`);
  }
  for (const name of Object.keys(files)) {
    signal.throwIfAborted();
    if (name.startsWith('images/')) await requireOwnImage(source, name, files, signal);
  }
}

function requireOwnPaths(specs: EnvironmentSpecs, snapshot: string, files: Manifest['files']): void {
  const has = (path: string): boolean => path === '' || (path.startsWith(OWN) && Object.hasOwn(files, path.slice(OWN.length)));
  const names = [...specs.vms, ...specs.nets].map(({ name }) => name);
  const bad = names.find((name) => name === '' || name === '.' || name === '..' || name.includes('/'));
  if (bad !== undefined) throw refused(`"${bad}" is no name of a VM or a network`);
  for (const vm of specs.vms) {
    const outside = disksOf(vm, snapshot).find(({ path }) => !has(path))?.path;
    if (outside !== undefined) throw refused(`VM ${vm.name} uses ${outside}, which is not in it`);
  }
}

/** All disks that the definition names. */
function disksOf(vm: VmSpec, snapshot: string): readonly DiskSpec[] {
  return [...vm.disks, ...z.array(DiskSpec).parse(vm.snapshots[snapshot] ?? [])];
}

/** What libvirt's description of a VM has that export does not write; `places`: beginnings of paths that are another place here. */
export function descriptionProblem(xml: string, places: readonly string[]): string | undefined {
  const domain = readXml(xml, { what: 'A description in the exported snapshot', code: 'input.invalid' });
  if (domain.name !== 'domain') return 'is none';
  const part = domain.children.find(({ name }) => !PARTS.has(name));
  if (part !== undefined) return `has <${part.name}>`;
  const devices = domain.children.filter(({ name }) => name === 'devices').flatMap(({ children }) => children);
  const device = devices.find(({ name, attributes }) => {
    if (!Object.hasOwn(DEVICES, name)) return true;
    return !ANY_TYPE.has(name) && attributes.get('type') !== DEVICES[name];
  });
  if (device !== undefined) return `has a device <${device.name}> of type ${device.attributes.get('type') ?? 'none'}`;
  const outside = values(domain).find(
    (value) =>
      (value.startsWith('/') && !HARMLESS.test(value) && !places.some((place) => value.startsWith(place))) || /(^|\/)\.\.\//.test(value),
  );
  return outside === undefined ? undefined : `names ${outside}`;
}

function values({ attributes, text, children }: XmlElement): readonly string[] {
  return [...attributes.values(), text.trim(), ...children.flatMap(values)];
}

async function requireOwnImage({ paths }: Prefix, name: string, files: Manifest['files'], signal: AbortSignal): Promise<void> {
  if (!(await isQcow2(join(paths.root, name)))) return;
  const { backingFile, dataFile, encrypted } = await inspectImage(join(paths.root, name), { format: 'qcow2', signal });
  if (dataFile !== undefined || encrypted) throw refused(`${name} is encrypted, or keeps its data in another file`);
  if (backingFile === undefined) return;
  const names = await readBackingNames(join(paths.root, name));
  const below = posix.join(dirname(name), names?.file ?? '');
  const plain = names !== undefined && !posix.isAbsolute(names.file) && (names.file.startsWith('./') || !names.file.includes(':'));
  if (!plain || names.format === undefined || !Object.hasOwn(files, below)) {
    throw refused(`${name} is a layer on ${backingFile}, which is not in it`);
  }
}

async function isQcow2(path: string): Promise<boolean> {
  try {
    await readBackingNames(path);
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'input.invalid') return false;
    throw error;
  }
}

function refused(why: string): EngineError {
  return new EngineError('input.invalid', `The exported snapshot cannot be used: ${why}.`, {
    hint: 'Use it only if you know where it comes from, and export the snapshot again.',
  });
}
