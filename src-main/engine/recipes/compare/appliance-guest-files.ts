import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { ApplianceOptions } from '../../appliance/appliance.ts';
import { copyOut } from '../../appliance/copy-out.ts';
import { type ListedFile, listFiles } from '../../appliance/list-files.ts';
import type { Step } from '../../core/operation.ts';
import type { VolumeEntry } from '../../disk/content/ext-volume.ts';
import { type FileTree, type GuestFiles, LEFT_OUT, MAX_FILES, type PointDisk } from './guest-files.ts';

export interface ApplianceRequest {
  readonly vm: string;
  readonly disks: readonly PointDisk[];
  readonly accelerator: 'kvm' | 'tcg';
  /** A folder that is there. */
  readonly scratch: string;
}

/** The files of disks that libguestfs can read. Each call boots its appliance, which takes many seconds. */
export function applianceFiles(
  { vm, disks, accelerator, scratch }: ApplianceRequest,
  step: Pick<Step, 'signal' | 'log' | 'progress'>,
): GuestFiles {
  const what = `VM ${vm}`;
  const options: ApplianceOptions = {
    accelerator,
    scratch: join(scratch, 'appliance'),
    log: step.log,
    signal: step.signal,
    onDetail: (detail) => step.progress(0, detail),
  };
  return {
    notes: [],
    async entries(): Promise<FileTree> {
      step.progress(0, 'reading the disks with libguestfs');
      const files = await listFiles(disks, what, options);
      if (files.length > MAX_FILES)
        throw new EngineError('not-available', `There are more than ${MAX_FILES} files on the disks of ${what}.`);
      return new Map(files.filter(({ path }) => !isLeftOut(path)).map((file) => [file.path, entryOf(file)]));
    },
    find: async () => undefined,
    async copy(paths, folder) {
      const places = await copyOut({ disks, paths, into: folder, what }, options);
      return new Map(
        paths.flatMap((path, index) => {
          const place = places[index];
          return place === undefined ? [] : [[path, place] as const];
        }),
      );
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** libguestfs mounts nothing there, but what is below is left out as from other disks. */
function isLeftOut(path: string): boolean {
  const below = path.indexOf('/', 1);
  return below > 0 && LEFT_OUT.has(path.slice(0, below));
}

function entryOf({ type, mode, uid, gid, size, stamp, target }: ListedFile): VolumeEntry {
  const kind = type === '-' ? 'file' : type === 'd' ? 'folder' : type === 'l' ? 'link' : 'special';
  return { type: kind, mode: mode & 0o7777, uid, gid, size: kind === 'file' ? size : 0, stamp, target };
}
