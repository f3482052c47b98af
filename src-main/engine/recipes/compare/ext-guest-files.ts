import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { ExtVolume } from '../../disk/content/ext-volume.ts';
import { type ExtPartition, extPartitions } from '../../disk/content/partitions.ts';
import { openRawView, type RawView, withRawView } from '../../disk/content/raw-view.ts';
import { type FileTree, type GuestFiles, LEFT_OUT, MAX_FILES, type PointDisk } from './guest-files.ts';
import { MAX_FSTAB, type MountSource, mountPoints } from './mounts.ts';

interface Volume extends MountSource {
  readonly volume: ExtVolume;
}

/**
 * The files of disks with ext2, ext3 or ext4, read within seconds, without rights. `root` is how the VM's metadata names the partition of
 * its root file system, if it does; else it is the first one with a folder /etc. Rejects with `host.unavailable` when there is none, and
 * like `openRawView`. `scratch` is a folder that is there.
 */
export async function openExtFiles(
  disks: readonly PointDisk[],
  root: string | undefined,
  scratch: string,
  signal: AbortSignal,
): Promise<GuestFiles> {
  const views: RawView[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(views.map(async (view) => await view[Symbol.asyncDispose]()));
  };
  try {
    const { volumes, notes } = await openVolumes(disks, scratch, views, signal);
    const rootVolume = await findRoot(volumes, root);
    const others = volumes.filter((one) => one !== rootVolume);
    return new ExtGuestFiles(rootVolume.volume, others, notes, scratch, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** The file systems of all disks. Their views are added to `views` as they are opened. */
async function openVolumes(
  disks: readonly PointDisk[],
  scratch: string,
  views: RawView[],
  signal: AbortSignal,
): Promise<{ readonly volumes: readonly Volume[]; readonly notes: readonly string[] }> {
  const volumes: Volume[] = [];
  const notes: string[] = [];
  for (const disk of disks) {
    const partitions = await partitionsOf(disk, join(scratch, 'look'), signal);
    if (partitions.length === 0) notes.push(`Disk ${disk.dev} has no ext2, ext3 or ext4 file system, so its files are not compared.`);
    for (const partition of partitions) {
      const folder = join(scratch, `${disk.dev}-${partition.number}`);
      const view = await openRawView({ ...disk, offset: partition.offset }, folder, signal);
      views.push(view);
      const volume = new ExtVolume(view.path, folder, signal);
      if (partition.needsRecovery) await volume.replayJournal();
      volumes.push({ ...partition, dev: disk.dev, volume });
    }
  }
  return { volumes, notes };
}

class ExtGuestFiles implements GuestFiles {
  readonly notes: readonly string[];
  readonly #root: ExtVolume;
  readonly #others: readonly Volume[];
  readonly #scratch: string;
  readonly #close: () => Promise<void>;
  /** Folder without a slash at its end → what is mounted there; the root's is empty. */
  readonly #mounted = new Map<string, ExtVolume>();

  constructor(root: ExtVolume, others: readonly Volume[], notes: readonly string[], scratch: string, close: () => Promise<void>) {
    this.#root = root;
    this.#others = others;
    this.#scratch = scratch;
    this.#close = close;
    this.notes = notes;
  }

  async entries(): Promise<FileTree> {
    return await this.#collect(async (volume, most) => await volume.entries(LEFT_OUT, most));
  }

  async find(): Promise<void> {
    await this.#collect(async (volume, most) => await volume.find(LEFT_OUT, most));
  }

  /** What `read` finds in each file system, under the folder where it is mounted. */
  async #collect<T extends { readonly size: number }>(
    read: (volume: ExtVolume, most: number) => Promise<ReadonlyMap<string, T>>,
  ): Promise<ReadonlyMap<string, T>> {
    const found = new Map(await read(this.#root, MAX_FILES));
    this.#mounted.clear();
    this.#mounted.set('', this.#root);
    const isNeeded = this.#others.length > 0 && (found.get('/etc/fstab')?.size ?? 0) <= MAX_FSTAB;
    const fstab = isNeeded ? await readFstab(this.#root, join(this.#scratch, 'fstab')) : '';
    const folders = mountPoints(fstab, this.#others);
    for (const [index, { volume }] of this.#others.entries()) {
      const folder = folders[index] ?? '';
      if (this.#mounted.has(folder)) continue;
      this.#mounted.set(folder, volume);
      for (const [path, entry] of await read(volume, MAX_FILES - found.size)) found.set(`${folder}${path}`, entry);
    }
    return found;
  }

  async copy(paths: readonly string[], folder: string): Promise<ReadonlyMap<string, string>> {
    const copies = new Map<string, string>();
    // The longest mount point first: a path is in the innermost file system.
    const mounts = [...this.#mounted].sort(([one], [other]) => other.length - one.length);
    let rest = paths;
    for (const [index, [mount, volume]] of mounts.entries()) {
      const isInside = (path: string): boolean => path.startsWith(`${mount}/`);
      const wanted = rest.filter(isInside).map((path) => path.slice(mount.length));
      rest = rest.filter((path) => !isInside(path));
      if (wanted.length === 0) continue;
      const into = join(folder, String(index));
      await mkdir(into, { mode: 0o700 });
      for (const [path, copy] of await volume.copy(wanted, into)) if (await exists(copy)) copies.set(`${mount}${path}`, copy);
    }
    return copies;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

async function partitionsOf(disk: PointDisk, scratch: string, signal: AbortSignal): Promise<readonly ExtPartition[]> {
  return await withRawView(disk, scratch, signal, async (raw) => {
    const file = await open(raw, 'r');
    try {
      return await extPartitions(file);
    } finally {
      await file.close();
    }
  });
}

async function findRoot(volumes: readonly Volume[], named: string | undefined): Promise<Volume> {
  const number = /^(?:\/dev\/)?[a-z]+(\d+)$/.exec(named ?? '')?.[1];
  for (const one of volumes) {
    if (named === undefined) {
      if (await one.volume.hasFolder('etc')) return one;
    } else if (one.label.includes(named) || number === String(one.number)) return one;
  }
  throw new EngineError(
    'host.unavailable',
    `There is no ext2, ext3 or ext4 root file system${named === undefined ? '' : ` named "${named}"`}.`,
  );
}

/** The root's /etc/fstab, after `find`; empty when it has none. */
async function readFstab(volume: ExtVolume, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const copy = (await volume.copy(['/etc/fstab'], folder)).get('/etc/fstab');
  return copy !== undefined && (await exists(copy)) ? await readFile(copy, 'utf8') : '';
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
