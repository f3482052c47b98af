import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from './files/disk-error.ts';

/** What a text file is expected to be, for messages. */
export interface TextKind {
  /** With its article: "an init file". */
  readonly what: string;
  readonly maxBytes: number;
  readonly hint: string;
}

/**
 * Reads a text file that somebody named. Opens only regular files and limits their size, so that neither a pipe nor a device can block.
 * `input.missing-file` when it does not exist, `input.invalid` when it is anything else or too large, `host.denied`.
 */
export async function readOrdinaryText(path: string, kind: TextKind): Promise<string> {
  let found: Stats;
  try {
    found = await stat(path);
  } catch (error) {
    throw unreadable(path, kind, error);
  }
  // Checked before opening, since opening has effects on some devices.
  requireOrdinary(path, kind, found);
  let file: FileHandle;
  try {
    // It may have been replaced by a pipe in between.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreadable(path, kind, error);
  }
  try {
    requireOrdinary(path, kind, await file.stat());
    return await readText(file, path, kind);
  } finally {
    await file.close();
  }
}

async function readText(file: FileHandle, path: string, kind: TextKind): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024)).catch((error: unknown) => {
      throw unreadable(path, kind, error);
    });
    if (bytesRead === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(buffer.subarray(0, bytesRead));
    size += bytesRead;
    if (size > kind.maxBytes) throw tooLarge(path, kind);
  }
}

function requireOrdinary(path: string, kind: TextKind, found: Stats): void {
  const { what, hint } = kind;
  if (found.isDirectory()) throw new EngineError('input.missing-file', `${path} is a folder, not ${what}.`, { hint });
  if (!found.isFile()) throw new EngineError('input.invalid', `${path} is ${kindOf(found)}, not ${what}.`, { hint });
  if (found.size > kind.maxBytes) throw tooLarge(path, kind);
}

function kindOf(found: Stats): string {
  if (found.isFIFO()) return 'a named pipe';
  return found.isSocket() ? 'a socket' : 'a device';
}

function tooLarge(path: string, { what, maxBytes, hint }: TextKind): EngineError {
  return new EngineError('input.invalid', `${path} is too large for ${what}: it has more than ${maxBytes / 1024} KiB.`, { hint });
}

function unreadable(path: string, { what, hint }: TextKind, error: unknown): unknown {
  const { code = '' } = error as NodeJS.ErrnoException;
  const name = what.replace(/^an? /, '');
  const missing: Readonly<Record<string, string>> = {
    ENOENT: `Unable to find ${name}:`,
    ENOTDIR: `Unable to find ${name}:`,
    ELOOP: `The symbolic links of this ${name} form a loop:`,
    ENAMETOOLONG: `The path of the ${name} is too long:`,
  };
  const sentence = missing[code];
  if (sentence !== undefined) return new EngineError('input.missing-file', `${sentence} ${path}`, { cause: error, hint });
  if (code !== 'EACCES') return diskError(error, path);
  return new EngineError('host.denied', `No permission to read ${path}.`, { cause: error, hint: 'Give yourself the right to read it.' });
}
