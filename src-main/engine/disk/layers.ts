import { rename, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/disk-error.ts';
import { readBackingNames, readVirtualSize } from './qcow2-header.ts';
import { commitImage, createLayerOn, hasOwnData, type ImageFormat, type ImageOptions, moveOnto } from './qemu-img.ts';

/**
 * Layers of a disk: qcow2 files in one folder, each with only what was written since the one below was frozen. The name of the file below
 * is kept relative to that folder when it is in there, so that hard links to all of them in another folder are a disk of their own.
 */

/** Marks the files that are layers, in the middle of their names: `web_root.layer-3.qcow2`. */
const MARK = /\.layer-(\d+)\.qcow2$/;

/** Path of another layer of the disk whose lowest file or layer is `path`, with the first number that `isTaken` does not know. */
export function nextLayerPath(path: string, folder: string, isTaken: (path: string) => boolean): string {
  // Another program may have put a file with a name of its own on a layer.
  const stem = diskStem(path).replace(/\.layer-\d+$/, '');
  for (let number = 1; ; number++) {
    const candidate = join(folder, `${stem}.layer-${number}.qcow2`);
    if (!isTaken(candidate)) return candidate;
  }
}

/** The beginning that the names of a disk's lowest file and of all layers on it have in common. */
export function diskStem(path: string): string {
  const name = basename(path);
  return MARK.test(name) ? name.replace(MARK, '') : name.replace(/\.[a-z0-9]+$/i, '');
}

/** Whether a file is a layer by its name. */
export function isLayer(path: string): boolean {
  return MARK.test(basename(path));
}

/** Creates an empty layer on a file that is not written to from then on. The layer must not exist. */
export async function createLayer(
  layer: { readonly path: string; readonly below: string; readonly belowFormat: ImageFormat },
  options: ImageOptions = {},
): Promise<void> {
  await createLayerOn({ path: layer.path, backing: nameIn(dirname(layer.path), layer.below), backingFormat: layer.belowFormat }, options);
}

/** A file's name as a layer in this folder keeps it: relative when the file is in the folder. */
export function nameIn(folder: string, path: string): string {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
}

/** A file that another one is a layer on. */
export interface FileBelow {
  /** Absolute. */
  readonly path: string;
  readonly format: ImageFormat;
  /** Whether the layer knows it by its absolute path, so that a link to the layer elsewhere is on the same file. */
  readonly fixed: boolean;
}

/** The file directly below a qcow2 file; undefined when it stands alone. Works while a VM uses it. */
export async function fileBelow(path: string): Promise<FileBelow | undefined> {
  const below = await readBackingNames(path);
  if (below === undefined) return undefined;
  const format = below.format === 'qcow2' ? 'qcow2' : 'raw';
  return { path: resolve(dirname(path), below.file), format, fixed: isAbsolute(below.file) };
}

/**
 * Takes the file below out of a disk: what it has and the layer lacks is copied into the layer, which then is on what was below that file,
 * or stands alone. Nobody may use the layer. Nothing is lost when it is interrupted, and it can be repeated; the file below is not changed.
 */
export async function absorbBelow(path: string, options: ImageOptions = {}): Promise<void> {
  const below = await fileBelow(path);
  if (below === undefined) return;
  const base = below.format === 'qcow2' ? await fileBelow(below.path) : undefined;
  const name = base === undefined ? '' : base.fixed ? base.path : relative(dirname(path), base.path);
  await moveOnto({ path, backing: name, backingFormat: base?.format }, options);
}

/**
 * Merges a layer and the file below, under the layer's name: the smaller one is written into the other, if nobody needs the file below, which
 * then is gone. Nobody may use the layer. It can be interrupted and repeated, like `absorbBelow`.
 */
export async function mergeBelow(path: string, options: ImageOptions = {}): Promise<void> {
  const below = await fileBelow(path);
  if (below === undefined || !(await isCheaperBelow(path, below))) {
    await absorbBelow(path, options);
    return;
  }
  await commitImage(path, options);
  // One moment in which the name changes over: before, all of it is done again.
  await rename(below.path, path).catch((error: unknown) => {
    throw diskError(error, path);
  });
}

/** Whether a layer can be written into the file below, which then is the same disk in its place, and whether that is less to write. */
async function isCheaperBelow(path: string, below: FileBelow): Promise<boolean> {
  // In another folder, its own name for what is below would be wrong.
  if (below.format !== 'qcow2' || dirname(below.path) !== dirname(path)) return false;
  const [layer, base] = await Promise.all([stat(path), stat(below.path)]);
  return layer.blocks < base.blocks && (await readVirtualSize(path)) === (await readVirtualSize(below.path));
}

/**
 * Whether nothing was ever written to a layer: all that it shows is from below. Also true of one whose creation was interrupted before it had
 * a header, which no VM can have used. Works while a VM uses it.
 */
export async function isEmptyLayer(path: string, options: ImageOptions = {}): Promise<boolean> {
  try {
    await readBackingNames(path);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'input.invalid') return true;
    throw error;
  }
  return !(await hasOwnData(path, options));
}
