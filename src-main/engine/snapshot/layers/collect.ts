import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { writeJson } from '../../core/json-file.ts';
import type { Log } from '../../core/log.ts';
import { until } from '../../core/until.ts';
import { absorbBelow, diskStem, fileBelow, isLayer, nameIn } from '../../disk/layers.ts';
import { setBacking } from '../../disk/qemu-img.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { domainName, type Prefix, readPrefix, readSpecs } from '../../prefix/prefix.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { inPrefix } from './layer-files.ts';
import { runningDisks } from './running-disks.ts';
import { type LayerFile, type LayerStep, nextLayerStep } from './unneeded.ts';

/** Merging gigabytes on a slow disk takes minutes. */
const MERGE_MS = 60 * 60_000;

interface Disk {
  readonly vm: VmSpec;
  readonly dev: string;
}

/**
 * Removes the layers that neither a definition nor a snapshot needs, so that chains are as short as they can be; VMs may run meanwhile. The
 * prefix's lock must be held. Every step leaves each disk as it is seen, so that it can be interrupted and repeated.
 */
export async function collectLayers(
  context: RecipeContext,
  { paths }: Prefix,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  for (;;) {
    const prefix = await readPrefix(paths.root);
    const session = await context.hosts.find(prefix, signal);
    const tops = await diskTops(session, prefix, signal);
    const files = await layerFiles(prefix);
    const step = nextLayerStep(files, { named: namedFiles(prefix), running: new Set(tops.keys()) });
    if (step === undefined) return;
    signal.throwIfAborted();
    log.debug(`Layers: ${describe(step)}.`);
    await carryOut(session, prefix, step, { tops, files }, signal);
  }
}

/** What running VMs write to, and of which disk it is. */
export async function diskTops(session: HostSession | undefined, prefix: Prefix, signal: AbortSignal): Promise<ReadonlyMap<string, Disk>> {
  const tops = new Map<string, Disk>();
  for (const vm of prefix.specs.vms) {
    for (const [dev, path] of (await runningDisks(session, prefix, vm, signal)) ?? []) tops.set(path, { vm, dev });
  }
  return tops;
}

/** The files that definitions and snapshots name. */
export function namedFiles(prefix: Prefix): ReadonlySet<string> {
  const disks = prefix.specs.vms.flatMap((vm) => [...vm.disks, ...Object.values(vm.snapshots).flat()]);
  return new Set(disks.flatMap(({ path }) => (typeof path === 'string' ? [expandPrefixPath(path, prefix.paths.root)] : [])));
}

/** All layers, and the files that these disks began with, if they are the environment's own. */
export async function layerFiles(prefix: Prefix): Promise<readonly LayerFile[]> {
  const { paths } = prefix;
  const named = namedFiles(prefix);
  const own = [...(await filesIn(paths.images)), ...(await filesIn(paths.addedImages))];
  const layered = new Set(own.filter(isLayer).map(diskStem));
  return await Promise.all(
    own
      .filter((path) => layered.has(diskStem(path)))
      .map(async (path) => ({ path, below: await fileBelowIfQcow2(path, named), shared: (await stat(path)).nlink > 1 })),
  );
}

async function filesIn(folder: string): Promise<readonly string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name));
}

/** The lowest file may be raw, and then has nothing below it; nor has a layer that was killed while it was created, which nobody names. */
async function fileBelowIfQcow2(path: string, named: ReadonlySet<string>): Promise<string | undefined> {
  if (!path.endsWith('.qcow2')) return undefined;
  try {
    return (await fileBelow(path))?.path;
  } catch (error) {
    if (named.has(path) || !(error instanceof EngineError) || error.code !== 'input.invalid') throw error;
    return undefined;
  }
}

async function carryOut(
  session: HostSession | undefined,
  prefix: Prefix,
  step: LayerStep,
  { tops, files }: { readonly tops: ReadonlyMap<string, Disk>; readonly files: readonly LayerFile[] },
  signal: AbortSignal,
): Promise<void> {
  switch (step.kind) {
    case 'delete':
      await rm(step.path, { force: true });
      return;
    case 'absorb': {
      const disk = tops.get(step.into);
      if (step.how === 'offline' || session === undefined || disk === undefined) {
        await absorbBelow(step.into, { signal });
        return;
      }
      const base = files.find(({ path }) => path === step.path)?.below;
      const how = base === undefined ? {} : { base, relative: await isRelative(step.path) };
      await session.hypervisor.pullDisk(domainName(prefix.uuid, disk.vm.name), disk.dev, how);
      await untilDone(session, prefix, disk, signal);
      return;
    }
    case 'commit': {
      const disk = tops.get(step.running);
      if (session === undefined || disk === undefined) throw new EngineError('internal', 'A layer is in use and nobody uses it.');
      const relative = await isRelative(step.from);
      await session.hypervisor.commitDisk(domainName(prefix.uuid, disk.vm.name), disk.dev, { base: step.path, top: step.from, relative });
      await untilDone(session, prefix, disk, signal);
      // Both show the same now. Layers of other branches, which QEMU does not have open, follow.
      for (const { path, below } of files) {
        if (below === step.from && !isOpen(path, step.running, files)) {
          await setBacking({ path, backing: `./${nameIn(dirname(path), step.path)}`, backingFormat: 'qcow2' }, { signal });
        }
      }
      await renameInDefinitions(prefix, step.from, step.path);
      await rm(step.from, { force: true });
    }
  }
}

/** Whether a layer knows the file below by a relative path, which then stays one: libvirt refuses to make one of an absolute path. */
async function isRelative(path: string): Promise<boolean> {
  return (await fileBelow(path))?.fixed === false;
}

/** Whether QEMU has a file open that writes to `top`. */
function isOpen(path: string, top: string, files: readonly LayerFile[]): boolean {
  for (let at: string | undefined = top; at !== undefined; at = files.find((file) => file.path === at)?.below) if (at === path) return true;
  return false;
}

/** The work of QEMU on a disk, which is not cut off: a signal ends only the waiting, and the next collection goes on from there. */
async function untilDone({ hypervisor }: HostSession, prefix: Prefix, { vm, dev }: Disk, signal: AbortSignal): Promise<void> {
  const domain = domainName(prefix.uuid, vm.name);
  await until(async () => ((await hypervisor.blockJob(domain, dev, { signal })) === undefined ? true : undefined), {
    everyMs: 50,
    timeoutMs: MERGE_MS,
    signal,
    failure: () => new EngineError('hypervisor.failed', `Merging layers of disk ${dev} of VM ${vm.name} does not end.`),
  });
}

async function renameInDefinitions(prefix: Prefix, from: string, to: string): Promise<void> {
  const rename = <Entry extends { readonly path?: unknown }>(disk: Entry): Entry =>
    typeof disk.path === 'string' && expandPrefixPath(disk.path, prefix.paths.root) === from
      ? { ...disk, path: inPrefix(prefix, to) }
      : disk;
  const { vms } = await readSpecs(prefix.paths);
  for (const vm of vms) {
    const snapshots = Object.fromEntries(Object.entries(vm.snapshots).map(([name, disks]) => [name, disks.map(rename)]));
    await writeJson(prefix.paths.vm(vm.name), { ...vm, disks: vm.disks.map(rename), snapshots });
  }
}

function describe(step: LayerStep): string {
  switch (step.kind) {
    case 'delete':
      return `${step.path} is removed`;
    case 'absorb':
      return `${step.into} takes in ${step.path} (${step.how})`;
    case 'commit':
      return `${step.from} is written into ${step.path}`;
  }
}
