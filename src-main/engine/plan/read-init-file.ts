import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { MAX_INIT_FILE } from '../../../src-shared/init-file/parse.ts';
import { diskError } from '../core/json-file.ts';

const HINT = 'Give the path of a LagoInitFile (JSON or YAML).';
/** A UTF-8 character has at most four bytes, so a larger file is too long in any case. */
const MAX_BYTES = MAX_INIT_FILE * 4;
const MISSING: Readonly<Record<string, string>> = {
  ENOENT: 'Unable to find init file:',
  ENOTDIR: 'Unable to find init file:',
  ELOOP: 'The symbolic links of this init file form a loop:',
  ENAMETOOLONG: 'The path of the init file is too long:',
};

/**
 * Reads an init file or a text that belongs to one. Opens only regular files and limits their size, so that neither a pipe nor a device can
 * block. `input.missing-file` when it does not exist, `input.invalid` when it is anything else, `host.denied`.
 */
export async function readInitFile(path: string): Promise<string> {
  let found: Stats;
  try {
    found = await stat(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  // Checked before opening, since opening has effects on some devices.
  requireOrdinary(path, found);
  let file: FileHandle;
  try {
    // It may have been replaced by a pipe in between.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    requireOrdinary(path, await file.stat());
    return await readText(file, path);
  } finally {
    await file.close();
  }
}

async function readText(file: FileHandle, path: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024)).catch((error: unknown) => {
      throw unreadable(path, error);
    });
    if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(buffer.subarray(0, bytesRead));
    size += bytesRead;
    if (size > MAX_BYTES) throw tooLarge(path);
  }
}

function requireOrdinary(path: string, found: Stats): void {
  if (found.isDirectory()) throw new EngineError('input.missing-file', `${path} is a folder, not an init file.`, { hint: HINT });
  if (!found.isFile()) throw new EngineError('input.invalid', `${path} is ${kindOf(found)}, not an init file.`, { hint: HINT });
  if (found.size > MAX_BYTES) throw tooLarge(path);
}

function kindOf(found: Stats): string {
  if (found.isFIFO()) return 'a named pipe';
  return found.isSocket() ? 'a socket' : 'a device';
}

function tooLarge(path: string): EngineError {
  return new EngineError('input.invalid', `${path} is too large for an init file: it has more than ${MAX_BYTES / 1024} KiB.`, {
    hint: HINT,
  });
}

function unreadable(path: string, error: unknown): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  const missing = MISSING[code];
  if (missing !== undefined) return new EngineError('input.missing-file', `${missing} ${path}`, { cause: error, hint: HINT });
  if (code !== 'EACCES') return diskError(error, path);
  return new EngineError('host.denied', `No permission to read ${path}.`, { cause: error, hint: 'Give yourself the right to read it.' });
}
