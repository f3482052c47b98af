import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { SNAPSHOT_MANIFEST } from '../../../src-shared/snapshot/exported-snapshot.ts';
import { diskError } from '../core/files/json-file.ts';

/** Standard names of an init file, in any case. */
const NAMES = /^(?:lagoinitfile|init)(?:\.(?:json|ya?ml))?$/i;

/**
 * Finds the init file at a path: the path itself, or in a folder the file with a standard name (LagoInitFile or init, with or without
 * .yaml, .yml or .json). `input.missing-file` when the folder has none, `input.invalid` when it has several, or is an exported snapshot.
 */
export async function findInitFile(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  // The reader reports a missing file.
  if (found?.isDirectory() !== true) return path;
  let all: readonly string[];
  try {
    all = await readdir(path);
  } catch (error) {
    throw diskError(error, path);
  }
  const names = all.filter((name) => NAMES.test(name)).sort();
  const files: string[] = [];
  for (const name of names) if ((await stat(join(path, name)).catch(() => undefined))?.isFile() === true) files.push(name);
  const [only, ...others] = files;
  if (only === undefined && all.includes(SNAPSHOT_MANIFEST)) {
    throw new EngineError('input.invalid', `The folder ${path} is an exported snapshot, and has no init file.`, {
      hint: `Go on from it with "lago init ${path} --resume", or drop it on the window.`,
    });
  }
  if (only === undefined) {
    throw new EngineError('input.missing-file', `There is no init file in the folder ${path}.`, {
      hint: 'Its name would be LagoInitFile, LagoInitFile.yaml or init.json, for example. To use a file with another name, give its path.',
    });
  }
  if (others.length === 0) return join(path, only);
  throw new EngineError('input.invalid', `There are several init files in the folder ${path}: ${files.join(', ')}.`, {
    hint: 'Give the path of the one you mean.',
  });
}
