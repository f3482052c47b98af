import type { VolumeEntry } from '../../disk/content/ext-volume.ts';

/** Every file of a VM's disks by its absolute path in the VM. */
export type FileTree = ReadonlyMap<string, VolumeEntry>;

/** A disk of a VM at some point. */
export interface PointDisk {
  /** As the VM knows it: `vda`. */
  readonly dev: string;
  /** Absolute, on this machine. */
  readonly path: string;
  readonly format: string;
}

/** The files on the disks of a VM at one point. They are only read, and come from the guest: nothing about them can be trusted. */
export interface GuestFiles extends AsyncDisposable {
  /** All files. Rejects with `not-available` when there are too many. */
  entries(): Promise<FileTree>;
  /** Enough of `entries` for `copy`, and faster. */
  find(): Promise<void>;
  /** Copies regular files into an empty folder, after `entries` or `find`; path → copy. Those that cannot be read are left out. */
  copy(paths: readonly string[], folder: string): Promise<ReadonlyMap<string, string>>;
  /** After `entries`: what could not be read, and why; sentences. */
  readonly notes: readonly string[];
}

/** Files of one VM that are compared at most: their names and stamps are held in memory. */
export const MAX_FILES = 1_000_000;

/** Folders whose content is not the disk's, or is of the present only. */
export const LEFT_OUT: ReadonlySet<string> = new Set(['/proc', '/sys', '/dev', '/run', '/lost+found']);
