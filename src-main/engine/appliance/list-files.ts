import { EngineError } from '../../../src-shared/errors.ts';
import { type ApplianceOptions, runAppliance } from './appliance.ts';
import { type ApplianceDisk, diskArguments } from './copy-out.ts';

/** A file as virt-ls lists it. */
export interface ListedFile {
  /** Absolute, in the guest. */
  readonly path: string;
  /** `-`, `d`, `l`, or another letter for what is none of them. */
  readonly type: string;
  /** Permissions. */
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  /** Inode and times of change, in seconds. */
  readonly stamp: string;
  /** Where a link points; else empty. */
  readonly target: string;
}

/** About 100 bytes for each of a million files. */
const MAX_OUTPUT = 128 * 1024 * 1024;

/**
 * Lists all files of the disks of a VM that nobody writes to, mounted as its /etc/fstab says, with virt-ls: any file system that libguestfs
 * knows, also on LVM and RAID. Fails like `runAppliance`, and with `not-available` when there are too many files.
 */
export async function listFiles(disks: readonly ApplianceDisk[], what: string, options: ApplianceOptions): Promise<readonly ListedFile[]> {
  const argv = ['virt-ls', '-lR', '--csv', '--uids', '--times', '--time-t', '--extra-stats', ...diskArguments(disks), '/'];
  const command = { argv, failure: `The disks of ${what} could not be read`, secrets: [], dataBytes: MAX_OUTPUT };
  const output = await runAppliance(command, {}, options).catch((error: unknown) => {
    throw withoutSystem(error);
  });
  if (output.length >= MAX_OUTPUT) throw new EngineError('not-available', `There are too many files on the disks of ${what}.`);
  return listedFiles(output);
}

/** libguestfs finds out where things are mounted from the operating system on the disks. */
function withoutSystem(error: unknown): unknown {
  if (!(error instanceof EngineError) || error.code !== 'input.invalid') return error;
  return new EngineError('not-available', error.message, {
    cause: error,
    details: error.details,
    hint: 'Only disks with an operating system on one of them can be read.',
  });
}

/** The rows of `virt-ls -lR --csv --uids --times --time-t --extra-stats`. Those that are none are left out. */
export function listedFiles(csv: string): readonly ListedFile[] {
  return csvRows(csv).flatMap((row): ListedFile[] => {
    const [type, mode, size, uid, gid, , mtime, ctime, device, inode, , , , path, target = ''] = row;
    if (type === undefined || path === undefined || !path.startsWith('/') || path === '/') return [];
    const stamp = [device, inode, mtime, ctime].join(' ');
    return [{ path, type, mode: Number.parseInt(mode ?? '', 8), size: Number(size), uid: Number(uid), gid: Number(gid), stamp, target }];
  });
}

/** Fields may be quoted, and then contain commas, doubled quotes and line breaks. */
function csvRows(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [whole, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\n"]*))(,|\n|$)/g)) {
    if (whole === '' && row.length === 0) break;
    row.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
