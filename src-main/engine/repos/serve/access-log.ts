import { existsSync, type Stats, statSync, watch } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { RepoAccess } from '../../../../src-shared/repos/repo-access.ts';
import { diskError } from '../../core/files/json-file.ts';
import { valueOfLine } from '../../core/files/json-lines.ts';

const PIECE = 64 * 1024;

/** The requests that a package server has logged, oldest first, as far as they are kept. Lines that are not whole are left out. */
export async function readAccesses(path: string): Promise<readonly RepoAccess[]> {
  const texts = await Promise.all([`${path}.0`, path].map(readIfThere));
  return texts.flatMap((text) => text.split('\n').flatMap(accessOf));
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw diskError(error, path);
  }
}

function accessOf(line: string): readonly RepoAccess[] {
  return valueOfLine(line, RepoAccess);
}

/**
 * What a package server logs from the first `next()` on, in pieces, also after the log was renamed and begun anew; before that the last `kept`
 * that there are. The folder of the log must be there. Ends on abort.
 */
export async function* followAccesses(path: string, signal: AbortSignal, kept = 0): AsyncIterableIterator<readonly RepoAccess[]> {
  let wake = (): void => undefined;
  let changed = true;
  const notice = (): void => {
    changed = true;
    wake();
  };
  const watcher = watch(dirname(path), notice).on('error', notice);
  signal.addEventListener('abort', notice);
  // Looked at before anything is waited for: a line that is logged meanwhile is new.
  const seen = statSync(path, { throwIfNoEntry: false });
  let log = kept === 0 ? await openAfter(path, seen) : await openLog(path);
  try {
    if (kept > 0) {
      const before = await readBefore(path, log);
      if (log !== undefined) for await (const piece of readOn(log)) before.push(...piece);
      if (before.length > 0) yield before.slice(-kept);
    }
    while (!signal.aborted && existsSync(dirname(path))) {
      if (!changed) await new Promise<void>((resolve) => (wake = resolve));
      changed = false;
      if (log !== undefined) yield* readOn(log);
      const next = await openNew(path, log);
      if (next === undefined) continue;
      await log?.file.close();
      log = next;
      changed = true;
    }
  } finally {
    signal.removeEventListener('abort', notice);
    watcher.close();
    await log?.file.close();
  }
}

interface OpenLog {
  readonly file: FileHandle;
  readonly decoder: StringDecoder;
  position: number;
  rest: string;
}

async function openLog(path: string): Promise<OpenLog | undefined> {
  try {
    return { file: await open(path, 'r'), decoder: new StringDecoder('utf8'), position: 0, rest: '' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, path);
  }
}

/** The log of that name, to be read on after what was there of it; from its start if it is another file. */
async function openAfter(path: string, seen: Stats | undefined): Promise<OpenLog | undefined> {
  const log = await openLog(path);
  if (log !== undefined && seen !== undefined && (await log.file.stat()).ino === seen.ino) log.position = seen.size;
  return log;
}

/** What is in the log before an open one. That may have been renamed since it was opened. */
async function readBefore(path: string, log: OpenLog | undefined): Promise<RepoAccess[]> {
  const before = await openLog(`${path}.0`);
  if (before === undefined) return [];
  const accesses: RepoAccess[] = [];
  try {
    const [then, now] = await Promise.all([before.file.stat(), log?.file.stat()]);
    if (then.ino !== now?.ino) for await (const piece of readOn(before)) accesses.push(...piece);
  } finally {
    await before.file.close();
  }
  return accesses;
}

/** The log of that name if it is another one than before. */
async function openNew(path: string, before: OpenLog | undefined): Promise<OpenLog | undefined> {
  const log = await openLog(path);
  if (log === undefined) return undefined;
  const [now, then] = await Promise.all([log.file.stat(), before?.file.stat()]);
  if (now.ino !== then?.ino) return log;
  await log.file.close();
  return undefined;
}

async function* readOn(log: OpenLog): AsyncIterableIterator<readonly RepoAccess[]> {
  for (;;) {
    const { bytesRead, buffer } = await log.file.read(Buffer.alloc(PIECE), 0, PIECE, log.position);
    if (bytesRead === 0) return;
    log.position += bytesRead;
    const lines = (log.rest + log.decoder.write(buffer.subarray(0, bytesRead))).split('\n');
    log.rest = lines.pop() ?? '';
    const accesses = lines.flatMap(accessOf);
    if (accesses.length > 0) yield accesses;
  }
}
