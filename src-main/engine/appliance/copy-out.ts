import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runChecked } from '../core/run.ts';
import { type ApplianceOptions, runAppliance } from './appliance.ts';

/** A disk for the appliance to read. */
export interface ApplianceDisk {
  readonly path: string;
  readonly format: string;
}

export interface CopyOutRequest {
  /** Those of one VM, in its order. */
  readonly disks: readonly ApplianceDisk[];
  /** Absolute paths inside. */
  readonly paths: readonly string[];
  /** Existing folder; path number N is copied into its subfolder N. */
  readonly into: string;
  /** For messages: "VM web". */
  readonly what: string;
}

/**
 * Copies files and folders out of disks that nobody writes to, with guestfish: any file system that libguestfs knows, also on LVM and
 * RAID. Returns for each path where its copy is, undefined for one that is not there. Fails like `runAppliance`.
 */
export async function copyOut(request: CopyOutRequest, options: ApplianceOptions): Promise<readonly (string | undefined)[]> {
  const { disks, paths, into, what } = request;
  const folders = paths.map((_, index) => join(into, String(index)));
  for (const folder of folders) await mkdir(folder, { mode: 0o700 });
  // The dash: a path that is missing is no reason to leave out the others.
  const script = paths.map((path, index) => `-copy-out ${quoted(path)} ${quoted(folders[index] ?? '')}\n`).join('');
  const argv = ['guestfish', '--ro', ...diskArguments(disks), '-i', '-f', join(options.scratch, 'commands')];
  await runAppliance({ argv, failure: `The disks of ${what} could not be read`, secrets: [] }, { commands: script }, options);
  // Files belong to whoever collects, who can read and remove them; nobody gets setuid.
  await runChecked(['chmod', '-R', 'u+rwX,u-s,g-s', '--', into], `The files of ${what} cannot be changed.`, { signal: options.signal });
  return await Promise.all(
    folders.map(async (folder) => {
      const [name] = await readdir(folder);
      return name === undefined ? undefined : join(folder, name);
    }),
  );
}

/** How the programs of libguestfs take disks. */
export function diskArguments(disks: readonly ApplianceDisk[]): readonly string[] {
  return disks.flatMap(({ path, format }) => [`--format=${format}`, '-a', path]);
}

/** A word of guestfish's language. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
