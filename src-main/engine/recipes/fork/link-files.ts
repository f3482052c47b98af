import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { diskError } from '../../core/files/json-file.ts';
import { copyImage } from '../../disk/backing-chain.ts';
import { type FileBelow, fileBelow } from '../../disk/layers.ts';
import { setBacking } from '../../disk/qemu-img.ts';
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

/**
 * Gives a fork the files of these disks, and all that are below them in the folder of the environment that it is forked from: by links, so that
 * nothing may write to any of them. A file that knows the one below it by its path in that folder is copied instead, sharing its blocks where
 * the file system can, and is on the fork's own file: otherwise the fork would end with the original.
 */
export async function linkDisks(from: Prefix, vms: readonly VmSpec[], to: string, signal: AbortSignal): Promise<void> {
  const { root } = from.paths;
  for (const disk of vms.flatMap((vm) => vm.disks)) {
    let path: string | undefined = disk.path === '' ? undefined : expandPrefixPath(disk.path, root);
    let format: string = disk.format;
    while (path !== undefined && isInside(root, path)) {
      const target = join(to, relative(root, path));
      await mkdir(dirname(target), { recursive: true });
      const below: FileBelow | undefined = format === 'qcow2' ? await fileBelow(path) : undefined;
      if (below?.fixed === true && isInside(root, below.path)) {
        await copyOnto(path, target, { ...below, path: join(to, relative(root, below.path)) }, { disk: disk.name, signal });
      } else await linkInto(path, dirname(target));
      [path, format] = [below?.path, below?.format ?? ''];
    }
  }
}

function isInside(folder: string, path: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** Copies a layer so that it is on another file of the same content, which it knows by a relative path: its own forks can link it then. */
async function copyOnto(
  from: string,
  to: string,
  below: Pick<FileBelow, 'path' | 'format'>,
  { disk, signal }: { readonly disk: string; readonly signal: AbortSignal },
): Promise<void> {
  const there = await stat(to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw diskError(error, to);
  });
  if (there !== undefined && there.ino !== (await stat(from)).ino) return;
  // A link of the whole folder it is in; writing to it would change the original.
  await rm(to, { force: true });
  await copyImage(from, to, disk, signal);
  await setBacking({ path: to, backing: `./${relative(dirname(to), below.path)}`, backingFormat: below.format }, { signal });
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
