import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { EngineError } from '../../../../src-shared/errors.ts';
import { shownAddress } from '../../core/download/shown-url.ts';
import { diskError } from '../../core/files/disk-error.ts';
import type { Connections } from '../fetch/connections.ts';
import { fetchText } from '../fetch/fetch-text.ts';
import { oneMirror } from '../fetch/mirrors.ts';
import type { Patience } from '../fetch/over-mirrors.ts';

const MAX_KEY = 4 * 1024 * 1024;

/** Reads the public keys of a repository from URLs and paths. `input.missing-file` when one is not there, `input.invalid` without any. */
export async function readKeys({
  section,
  connections,
  patience,
}: {
  readonly section: { readonly id: string; readonly gpgKeys: readonly string[] };
  readonly connections: Connections;
  readonly patience: Patience;
}): Promise<readonly Buffer[]> {
  const { id, gpgKeys } = section;
  if (gpgKeys.length === 0) {
    throw new EngineError('input.invalid', `The repository ${id} asks for signatures to be checked, but names no key.`, {
      hint: 'Name its keys in gpgkey, or switch the check off (gpgcheck=0, repo_gpgcheck=0).',
    });
  }
  return await Promise.all(gpgKeys.map(async (key) => await readKey(key, id, connections, patience)));
}

async function readKey(key: string, id: string, connections: Connections, patience: Patience): Promise<Buffer> {
  if (/^https?:/i.test(key)) {
    const fetched = await fetchText(connections, oneMirror(key), undefined, { maxBytes: MAX_KEY }, patience);
    if (fetched === undefined || fetched === 'unchanged') throw missing(shownAddress(key), id);
    return fetched.content;
  }
  const path = /^file:/i.test(key) ? fileURLToPath(key) : key;
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing(path, id);
    throw diskError(error, path);
  }
}

function missing(key: string, id: string): EngineError {
  return new EngineError('input.missing-file', `The key ${key} of the repository ${id} does not exist.`, {
    hint: 'Check gpgkey of the repository.',
  });
}
