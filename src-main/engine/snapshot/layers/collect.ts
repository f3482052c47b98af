import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { writeJson } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import { forEachLimit, until } from '../../core/until.ts';
import { absorbBelow, fileBelow, mergeBelow, nameIn } from '../../disk/layers.ts';
import { setBacking } from '../../disk/qemu-img.ts';
import type { BlockJobKind } from '../../libvirt/hypervisor.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { domainName, type Prefix, readPrefix, readSpecs } from '../../prefix/prefix.ts';
import { PARALLEL } from '../../runtime/bring-down.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { forgetFrozen, inheritChange, noteFrozen } from './frozen-files.ts';
import { inPrefix } from './layer-files.ts';
import { type Disk, diskTops, formatOf, layerFiles, namedFiles } from './layer-use.ts';
import { type LayerFile, type LayerStep, nextLayerSteps } from './unneeded.ts';

/** Work on a disk that lasts until somebody ends it; merging layers is none of these. */
const ENDLESS: ReadonlySet<BlockJobKind> = new Set<BlockJobKind>(['copy', 'active commit', 'backup']);
/** Merging gigabytes on a slow disk takes minutes. */
const MERGE_MS = 60 * 60_000;

/**
 * Removes the layers that neither a definition nor a snapshot needs, so that chains are as short as they can be; VMs may run meanwhile. The
 * prefix's lock must be held. Every step leaves each disk as it is seen, so that it can be interrupted and repeated.
 */
export async function collectLayers(
  context: RecipeContext,
  { paths }: Prefix,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  // Several disks are merged at once, but definitions are read and written as a whole.
  const definitionsInTurn = createTurns();
  for (;;) {
    const prefix = await readPrefix(paths.root);
    const session = await context.hosts.find(prefix, signal);
    const tops = await diskTops(session, prefix, signal);
    // Of a collection that was killed, or of another program.
    if (session !== undefined) for (const disk of tops.values()) await untilDone(session, prefix, disk, signal);
    const files = await layerFiles(prefix, tops);
    const steps = oneForEachVm(nextLayerSteps(files, { named: namedFiles(prefix), running: new Set(tops.keys()) }), tops);
    if (steps.length === 0) break;
    signal.throwIfAborted();
    for (const step of steps) log.debug(`Layers: ${describe(step)}.`);
    // Whoever is killed from here on leaves files that are not known, rather than files that seem to be changed by others.
    await forgetFrozen(
      prefix,
      steps.flatMap((step) => changedBy(step, files)),
    );
    for (const step of steps) if (step.kind === 'commit') await inheritChange(prefix, step.from, step.path);
    await forEachLimit(
      steps,
      PARALLEL,
      signal,
      async (step, one) => await carryOut(session, prefix, step, { tops, files, definitionsInTurn }, one),
    );
  }
  await noteFrozen(await readPrefix(paths.root));
}

/** QEMU 7.2 may crash when it merges layers of two disks of a running VM at once; what is left out here comes in the next round. */
function oneForEachVm(steps: readonly LayerStep[], tops: ReadonlyMap<string, Disk>): readonly LayerStep[] {
  const busy = new Set<string>();
  return steps.filter((step) => {
    const top = step.kind === 'commit' ? step.running : step.kind === 'absorb' ? step.into : undefined;
    const vm = top === undefined ? undefined : tops.get(top)?.vm.name;
    if (vm === undefined) return true;
    if (busy.has(vm)) return false;
    busy.add(vm);
    return true;
  });
}

type InTurn = (work: () => Promise<void>) => Promise<void>;

function createTurns(): InTurn {
  let last: Promise<void> = Promise.resolve();
  const after = async (before: Promise<void>, work: () => Promise<void>): Promise<void> => {
    await Promise.allSettled([before]);
    await work();
  };
  return async (work) => {
    last = after(last, work);
    await last;
  };
}

/** The files that a step writes to. */
function changedBy(step: LayerStep, files: readonly LayerFile[]): readonly string[] {
  switch (step.kind) {
    case 'delete':
      return [];
    case 'absorb':
      return [step.into];
    case 'commit':
      return [step.path, ...files.flatMap(({ path, below }) => (below === step.from ? [path] : []))];
  }
}

async function carryOut(
  session: HostSession | undefined,
  prefix: Prefix,
  step: LayerStep,
  {
    tops,
    files,
    definitionsInTurn,
  }: { readonly tops: ReadonlyMap<string, Disk>; readonly files: readonly LayerFile[]; readonly definitionsInTurn: InTurn },
  signal: AbortSignal,
): Promise<void> {
  switch (step.kind) {
    case 'delete':
      await rm(step.path, { force: true });
      return;
    case 'absorb': {
      const disk = tops.get(step.into);
      const below = files.find(({ path }) => path === step.path);
      if (step.how === 'offline' || session === undefined || disk === undefined) {
        // A file that another environment uses too must stay as it is.
        if (below?.shared === false) await mergeBelow(step.into, { signal });
        else await absorbBelow(step.into, { signal });
        await rm(step.path, { force: true });
        return;
      }
      const base = below?.below;
      const how = base === undefined ? {} : { base, relative: await areRelative(step.into, step.path) };
      await session.hypervisor.pullDisk(domainName(prefix.uuid, disk.vm.name), disk.dev, how);
      await untilDone(session, prefix, disk, signal);
      await requireMoved(step.into, step.path, disk);
      await rm(step.path, { force: true });
      return;
    }
    case 'commit': {
      const disk = tops.get(step.running);
      if (session === undefined || disk === undefined) throw new EngineError('internal', 'A layer is in use and nobody uses it.');
      const above = files.find(({ path, below }) => below === step.from && isOpen(path, step.running, files))?.path ?? step.running;
      const relative = await areRelative(above, step.from);
      await session.hypervisor.commitDisk(domainName(prefix.uuid, disk.vm.name), disk.dev, { base: step.path, top: step.from, relative });
      await untilDone(session, prefix, disk, signal);
      await requireMoved(above, step.from, disk);
      // Both show the same now. Layers of other branches, which QEMU does not have open, follow.
      for (const { path, below } of files) {
        if (below === step.from && !isOpen(path, step.running, files)) {
          const backing = `./${nameIn(dirname(path), step.path)}`;
          await setBacking({ path, backing, backingFormat: formatOf(step.path) }, { signal });
        }
      }
      await definitionsInTurn(async () => await renameInDefinitions(prefix, step.from, step.path));
      await rm(step.from, { force: true });
    }
  }
}

/** QEMU's work on a disk ends in the same way when it has failed, on a full disk for example: only the layer tells. */
async function requireMoved(layer: string, from: string, { vm, dev }: Disk): Promise<void> {
  if ((await fileBelow(layer))?.path !== from) return;
  throw new EngineError('hypervisor.failed', `QEMU could not merge layers of disk ${dev} of VM ${vm.name}: ${from} is still needed.`, {
    hint: 'Nothing is lost. Free space on the file system of the environment if it is full; the next command tries again.',
  });
}

/** Whether two layers know the files below by relative paths: then that of the upper one stays relative, which libvirt otherwise refuses. */
async function areRelative(upper: string, lower: string): Promise<boolean> {
  return (await Promise.all([upper, lower].map(fileBelow))).every((below) => below?.fixed === false);
}

/** Whether QEMU has a file open that writes to `top`. */
function isOpen(path: string, top: string, files: readonly LayerFile[]): boolean {
  for (let at: string | undefined = top; at !== undefined; at = files.find((file) => file.path === at)?.below) if (at === path) return true;
  return false;
}

/**
 * Waits for the work of QEMU on a disk, which is not cut off: a signal ends only the waiting, and the next collection goes on from there.
 * `conflict.taken` when it is of a kind that only another program begins, and that does not end by itself.
 */
async function untilDone({ hypervisor }: HostSession, prefix: Prefix, { vm, dev }: Disk, signal: AbortSignal): Promise<void> {
  const domain = domainName(prefix.uuid, vm.name);
  const isDone = async (): Promise<true | undefined> => {
    const job = await hypervisor.blockJob(domain, dev, { signal });
    if (job === undefined) return true;
    if (!ENDLESS.has(job.kind)) return undefined;
    throw new EngineError(
      'conflict.taken',
      `Another program works on disk ${dev} of VM ${vm.name} (${job.kind}): its layers cannot be merged.`,
      {
        hint: `End that first: virsh blockjob ${domain} ${dev} --abort, or --pivot. The next command then goes on with merging.`,
      },
    );
  };
  await until(isDone, {
    everyMs: 10,
    timeoutMs: MERGE_MS,
    signal,
    failure: () => new EngineError('hypervisor.failed', `Merging layers of disk ${dev} of VM ${vm.name} does not end.`),
  });
}

async function renameInDefinitions(prefix: Prefix, from: string, to: string): Promise<void> {
  const rename = <Entry extends { readonly path?: unknown }>(disk: Entry): Entry =>
    typeof disk.path === 'string' && expandPrefixPath(disk.path, prefix.paths.root) === from
      ? { ...disk, path: inPrefix(prefix, to), format: formatOf(to) }
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
