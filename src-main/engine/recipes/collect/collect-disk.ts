import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectedArtifact } from '../../../../src-shared/collection.ts';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { copyOut } from '../../appliance/copy-out.ts';
import { ownPart } from '../../copy/local-parts.ts';
import { CopyProgress } from '../../copy/progress.ts';
import { moveInto, unpack } from '../../copy/unpack.ts';
import type { Step } from '../../core/operation.ts';
import { run } from '../../core/run.ts';
import { ExtFiles } from '../../disk/content/ext-files.ts';
import { type ExtPartition, extPartitions } from '../../disk/content/partitions.ts';
import { type ViewedImage, withRawView } from '../../disk/content/raw-view.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { type Prefix, requireDisksHere } from '../../prefix/prefix.ts';
import { missingArtifact, type WantedArtifact } from './collect-live.ts';

/**
 * Collects from a VM that is off, by reading its first disk, which is not changed. debugfs reads ext2, ext3 and ext4 in a moment and
 * without rights; for anything else, or where there is no FUSE, libguestfs has to be installed.
 */
export async function collectFromDisk(
  prefix: Prefix,
  vm: VmSpec,
  wanted: readonly WantedArtifact[],
  folder: string,
  accelerator: 'kvm' | 'tcg',
  step: Step,
): Promise<CollectedArtifact[]> {
  requireDisksHere(prefix, `Collecting from VM ${vm.name} while it is off`);
  const [disk] = vm.disks;
  if (disk === undefined) throw new EngineError('input.invalid', `VM ${vm.name} has no disk, so nothing can be read from it.`);
  const image = { path: expandPrefixPath(disk.path, prefix.paths.root), format: disk.format };
  const scratch = ownPart(folder);
  await mkdir(folder, { recursive: true });
  try {
    step.progress(0, 'reading its disk');
    return await byDebugfs(vm, image, wanted, folder, scratch, step);
  } catch (error) {
    if (isCancelled(error) || !(error instanceof EngineError) || !['host.unavailable', 'host.missing-tool'].includes(error.code))
      throw error;
    if (!(await hasGuestfish())) throw neither(vm, error);
    step.log.info(`${error.message} Reading the disk of ${vm.name} with libguestfs.`);
    return await byLibguestfs(vm, image, wanted, folder, scratch, accelerator, step);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Reads the root file system: the one that metadata "root-partition" names, else the first that looks like one. */
async function byDebugfs(
  vm: VmSpec,
  image: ViewedImage,
  wanted: readonly WantedArtifact[],
  folder: string,
  scratch: string,
  step: Step,
): Promise<CollectedArtifact[]> {
  const { signal } = step;
  const partitions = await withRawView(image, scratch, signal, async (raw) => {
    const disk = await open(raw, 'r');
    try {
      return await extPartitions(disk);
    } finally {
      await disk.close();
    }
  });
  const named = vm.metadata['root-partition'];
  const candidates = typeof named === 'string' ? partitions.filter((partition) => isNamed(partition, named)) : partitions;
  for (const { offset, needsRecovery } of candidates) {
    const collected = await withRawView({ ...image, offset }, scratch, signal, async (device) => {
      const files = new ExtFiles(device, scratch, signal);
      if (needsRecovery) await files.replayJournal();
      const isRoot = typeof named === 'string' || (await files.find('/etc')) !== undefined;
      return isRoot ? await readFiles(vm, files, wanted, folder, join(scratch, 'tree'), step) : undefined;
    });
    if (collected !== undefined) return collected;
  }
  const what = typeof named === 'string' ? ` named "${named}"` : '';
  throw new EngineError('host.unavailable', `The disk of ${vm.name} has no ext4 root file system${what}.`);
}

async function readFiles(
  vm: VmSpec,
  files: ExtFiles,
  wanted: readonly WantedArtifact[],
  folder: string,
  tree: string,
  step: Step,
): Promise<CollectedArtifact[]> {
  const progress = new CopyProgress(step);
  const collected: CollectedArtifact[] = [];
  for (const { path, name } of wanted) {
    const found = await files.find(path);
    if (found === undefined || found.kind === 'special') {
      collected.push(missingArtifact(path));
      continue;
    }
    const before = progress.bytes;
    await mkdir(tree, { mode: 0o700 });
    await unpack(found.kind === 'folder' ? files.tree(found.inode) : files.file(found.inode, found.mode), tree, {
      signal: step.signal,
      onFile: () => progress.addFile(),
      onBytes: (count) => progress.addBytes(count),
      skip: (sentence) => step.log.warn(`${vm.name}: ${sentence}`),
    });
    await moveInto(found.kind === 'folder' ? tree : join(tree, 'f'), join(folder, name));
    await rm(tree, { recursive: true, force: true });
    collected.push({ path, name, size: progress.bytes - before, problem: null, missing: false });
  }
  return collected;
}

function isNamed({ number, label }: ExtPartition, name: string): boolean {
  return label.includes(name) || new RegExp(`^(/dev/)?[a-z]+${number}$`).test(name);
}

async function byLibguestfs(
  vm: VmSpec,
  image: ViewedImage,
  wanted: readonly WantedArtifact[],
  folder: string,
  scratch: string,
  accelerator: 'kvm' | 'tcg',
  step: Step,
): Promise<CollectedArtifact[]> {
  await mkdir(scratch, { mode: 0o700 });
  const into = join(scratch, 'out');
  await mkdir(into);
  const request = { disks: [image], paths: wanted.map(({ path }) => path), into, what: `VM ${vm.name}` };
  const places = await copyOut(request, {
    accelerator,
    scratch: join(scratch, 'appliance'),
    log: step.log,
    signal: step.signal,
    onDetail: (detail) => step.progress(0, detail),
  });
  const collected: CollectedArtifact[] = [];
  for (const [index, { path, name }] of wanted.entries()) {
    const place = places[index];
    if (place === undefined) {
      collected.push(missingArtifact(path));
      continue;
    }
    await moveInto(place, join(folder, name));
    collected.push({ path, name, size: await sizeOf(join(folder, name), step.signal), problem: null, missing: false });
  }
  return collected;
}

async function sizeOf(path: string, signal: AbortSignal): Promise<number> {
  const { stdout } = await run(['du', '-s', '-b', '--', path], { signal });
  return Number.parseInt(stdout, 10) || 0;
}

async function hasGuestfish(): Promise<boolean> {
  try {
    await run(['guestfish', '--version']);
    return true;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'host.missing-tool') return false;
    throw error;
  }
}

function neither(vm: VmSpec, cause: EngineError): EngineError {
  return new EngineError('host.missing-tool', `The disk of ${vm.name} cannot be read: ${cause.message}`, {
    cause,
    details: { ...cause.details },
    hint: 'Start the VM, or install libguestfs-tools (Debian, Ubuntu) or guestfs-tools (Fedora), which read any disk.',
  });
}
