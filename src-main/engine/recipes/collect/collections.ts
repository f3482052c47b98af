import { lstat, open, readdir, readlink, realpath, rm } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type CollectedFile, Collection, type FileRange, MAX_FILE_RANGE } from '../../../../src-shared/collection.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import { prefixPaths } from '../../prefix/layout.ts';

const INDEX = '.json';

/** Writes what is known of a collection. Its folder need not be in the environment; its index always is. */
export async function writeCollection(root: string, collection: Collection): Promise<void> {
  await writeJson(indexOf(root, collection.id), collection);
}

/** All collections of an environment, newest first. One whose index is damaged, or whose folder is gone, is left out. */
export async function listCollections(root: string): Promise<readonly Collection[]> {
  const names = await readdir(prefixPaths(root).collected).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith(INDEX))
      .map(async (name) => {
        try {
          const collection = await readJson(join(prefixPaths(root).collected, name), Collection);
          return collection !== undefined && (await exists(collection.folder)) ? collection : undefined;
        } catch (error) {
          if (error instanceof EngineError && error.code === 'input.invalid') return undefined;
          throw error;
        }
      }),
  );
  return found.filter((one) => one !== undefined).sort((a, b) => b.at - a.at);
}

/** Deletes a collection with its files. */
export async function removeCollection(root: string, id: string): Promise<void> {
  const { folder } = await collectionOf(root, id);
  await rm(folder, { recursive: true, force: true });
  await rm(indexOf(root, id), { force: true });
}

/** The content of a folder of a collection, sorted by name. `path` is relative to the collection; empty for its root. */
export async function listCollected(root: string, id: string, path: string): Promise<readonly CollectedFile[]> {
  const folder = await insideOf(await collectionOf(root, id), path);
  const names = await readdir(folder);
  const files = await Promise.all(
    names.sort().map(async (name): Promise<CollectedFile> => {
      const info = await lstat(join(folder, name));
      const type = info.isDirectory() ? 'folder' : info.isSymbolicLink() ? 'link' : 'file';
      return {
        name,
        type,
        size: type === 'file' ? info.size : 0,
        modifiedAt: info.mtimeMs,
        target: type === 'link' ? await readlink(join(folder, name)) : null,
      };
    }),
  );
  return files;
}

/** Bytes of a file of a collection, at most `MAX_FILE_RANGE`. */
export async function readCollected(root: string, id: string, path: string, from: number, length: number): Promise<FileRange> {
  const file = await open(await insideOf(await collectionOf(root, id), path), 'r');
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, MAX_FILE_RANGE, size - from)));
    const { bytesRead } = buffer.length === 0 ? { bytesRead: 0 } : await file.read(buffer, 0, buffer.length, from);
    return { size, bytes: buffer.subarray(0, bytesRead).toString('base64') };
  } finally {
    await file.close();
  }
}

/** Absolute path of a file or folder of a collection, for opening and saving it. */
export async function pathOfCollected(root: string, id: string, path: string): Promise<string> {
  return await insideOf(await collectionOf(root, id), path);
}

async function collectionOf(root: string, id: string): Promise<Collection> {
  const found = (await listCollections(root)).find((one) => one.id === id);
  if (found !== undefined) return found;
  throw new EngineError('input.missing-file', 'This collection no longer exists.', { details: { id } });
}

/** A path in a collection. Links in it come from guests: none is followed out of the collection. */
async function insideOf({ folder }: Collection, path: string): Promise<string> {
  const wanted = join(folder, path);
  try {
    const [base, real] = await Promise.all([realpath(folder), realpath(wanted)]);
    const way = relative(base, real);
    const outside = way === '..' || way.startsWith(`..${sep}`) || way.startsWith(sep);
    if (!outside && (await lstat(wanted)).isSymbolicLink() === false) return real;
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  throw new EngineError('input.missing-file', `There is no file ${path} in this collection.`, { details: { folder, path } });
}

function indexOf(root: string, id: string): string {
  return join(prefixPaths(root).collected, `${id}${INDEX}`);
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
