import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { diskError } from '../../core/json-file.ts';
import { fileBelow, nameIn } from '../../disk/layers.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';

/**
 * Gives another folder the same file under the same name, by a hard link: it takes no space, and is gone with the last of its names. On
 * another file system it is copied, sharing its blocks where that can.
 */
async function linkInto(path: string, folder: string): Promise<void> {
  const target = join(folder, basename(path));
  try {
    await link(path, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK') throw diskError(error, target);
    await copyFile(path, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  }
}

/** Links the files of these disks, and all that are below them in the prefix's folder of images. Nothing may write to any of them. */
export async function linkDisks(from: Prefix, vms: readonly VmSpec[], images: string): Promise<void> {
  for (const disk of vms.flatMap((vm) => vm.disks)) {
    let path: string | undefined = disk.path === '' ? undefined : expandPrefixPath(disk.path, from.paths.root);
    let format: string = disk.format;
    while (path?.startsWith(`${from.paths.images}/`) === true) {
      const folder = join(images, dirname(nameIn(from.paths.images, path)));
      await mkdir(folder, { recursive: true });
      await linkInto(path, folder);
      const below: Awaited<ReturnType<typeof fileBelow>> = format === 'qcow2' ? await fileBelow(path) : undefined;
      [path, format] = [below?.path, below?.format ?? ''];
    }
  }
}

/** Links all files of a folder and the folders in it, if it is there. They are never written to again. */
export async function linkFolder(from: string, to: string): Promise<void> {
  if (!(await isFolder(from))) return;
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isDirectory()) await linkFolder(join(from, entry.name), join(to, entry.name));
    else if (entry.isFile()) await linkInto(join(from, entry.name), to);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
