import { posix } from 'node:path';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { SshConnection } from '../guest/ssh.ts';
import { archiveOf, exactly } from './archive.ts';
import { feed, guestPath, lastLine, lookAt, type ScriptEnd, scriptLine } from './guest-files.ts';
import { UNPACK, WRITE_FILE, WRITE_SPARSE } from './guest-scripts.ts';
import { type LocalEntry, nameOfCopy, readLocalTree } from './local-tree.ts';
import { sendTreeBySftp } from './sftp-tree.ts';
import { dataRuns, runContent } from './sparse-runs.ts';
import { type Transfer, unique } from './transfer.ts';

/** From this size on a file keeps what has arrived, and the next copy continues there. */
export const RESUMABLE = 16 * 1024 * 1024;
/** More runs of data than this are not worth a command each. */
const MAX_RUNS = 500;
/** Smaller files are sent with their holes filled: that costs less than a command. */
const WORTH_A_HOLE = 1024 * 1024;

/**
 * Copies a local file or folder to a path in the guest, like `scp -r`: into it if it is a folder, else to exactly that name. Returns the
 * path. Nothing incomplete is ever under a final name.
 */
export async function send(transfer: Transfer, local: string, remote: string): Promise<string> {
  const { connection, step, signal, progress } = transfer;
  const tree = await readLocalTree(local, signal, (sentence) => step.log.warn(sentence));
  progress.expect(tree.files, tree.bytes);
  const wanted = guestPath(remote);
  const there = await lookAt(connection, wanted, signal);
  const name = nameOfCopy(local);
  const target = there.kind === 'folder' && name !== undefined ? posix.join(wanted, name) : wanted;
  if (there.kind !== 'folder') {
    if (!there.parentExists) throw refused(connection, target, `there is no directory ${posix.dirname(wanted)}`);
    if (tree.root.type === 'folder' && there.kind !== 'missing') throw refused(connection, target, 'it exists and is not a directory');
    if (tree.root.type === 'file' && wanted.endsWith('/')) throw refused(connection, target, 'there is no such directory');
  }
  const path = guestPath(target);
  if (tree.root.type === 'file') {
    await sendFile(transfer, tree.root, path);
    return target;
  }
  const sparse = tree.entries.filter((entry) => entry.sparse && entry.size >= WORTH_A_HOLE);
  const rest = tree.entries.filter((entry) => !sparse.includes(entry));
  if (there.tar === 'none') await sendTreeBySftp(transfer, tree.root, rest, path);
  else await sendTree(transfer, tree.root, rest, path);
  for (const entry of sparse) await sendFile(transfer, entry, posix.join(path, entry.name));
  return target;
}

async function sendTree(transfer: Transfer, root: LocalEntry, entries: readonly LocalEntry[], path: string): Promise<void> {
  const { connection, step, signal, progress } = transfer;
  // The content of a folder that is there goes into it, whatever the path calls it.
  const plain = /(^|\/)\.{0,2}\/?$/.test(path);
  const [folder, name] = plain ? [path, '.'] : [posix.dirname(path), posix.basename(path)];
  const archive = archiveOf(root, entries, {
    signal,
    onEntry: (entry) => {
      if (entry.type !== 'folder') progress.addFile();
    },
    onBytes: (count) => progress.addBytes(count),
    warn: (sentence) => step.log.warn(sentence),
  });
  const end = await feed(connection, scriptLine(UNPACK, guestPath(folder), name, unique()), archive, signal);
  requireDone(connection, path, end);
  for (const line of end.said.split('\n')) if (line.trim() !== '') step.log.warn(`${connection.vm}: ${line.trim()}`);
}

async function sendFile(transfer: Transfer, entry: LocalEntry, path: string): Promise<void> {
  const { connection, step, signal, progress } = transfer;
  const [mode, time] = [entry.mode.toString(8), touchTime(entry.mtime)];
  if (entry.sparse && entry.size >= WORTH_A_HOLE) {
    const runs = await dataRuns(entry, MAX_RUNS, signal);
    if (runs !== undefined) {
      const part = partPath(path, unique());
      const words = runs.map(({ at, count }) => `${at}:${count}`);
      const content = runContent(entry, runs, signal, (count) => progress.addBytes(count));
      const line = scriptLine(WRITE_SPARSE, path, part, mode, time, String(entry.size), ...words);
      requireDone(connection, path, await feed(connection, line, content, signal));
      progress.addFile();
      return;
    }
  }
  const keep = entry.size >= RESUMABLE;
  const part = partPath(path, keep ? `${entry.size}-${entry.mtime}` : unique());
  const before = keep ? (await lookAt(connection, path, signal, part)).partSize : 0;
  const from = before <= entry.size ? before : 0;
  if (from > 0) {
    step.log.info(`Continuing an interrupted copy of ${entry.path} at byte ${from}.`);
    progress.addBytes(from);
  }
  const content = exactly(entry, from, {
    signal,
    onBytes: (count) => progress.addBytes(count),
    warn: (sentence) => step.log.warn(sentence),
  });
  try {
    if (before > entry.size) await remove(connection, part);
    const line = scriptLine(WRITE_FILE, path, part, keep ? '1' : '0', mode, time, String(entry.size));
    requireDone(connection, path, await feed(connection, line, content, signal));
  } catch (error) {
    // Who cancels does not want to continue.
    if (keep && isCancelled(error)) await remove(connection, part);
    throw error;
  }
  progress.addFile();
}

async function remove(connection: SshConnection, path: string): Promise<void> {
  await connection.exec(scriptLine('rm -f "$1"', path), { signal: AbortSignal.timeout(10_000) });
}

/** Where a file is until it is complete: beside its final place. */
function partPath(path: string, id: string): string {
  return posix.join(posix.dirname(path), `.${posix.basename(path).slice(0, 100)}.${id}.lago-part`);
}

/** A time as `touch -t` takes it, in UTC. */
function touchTime(seconds: number): string {
  const [date = '', time = ''] = new Date(Math.max(0, seconds) * 1000).toISOString().split(/[T.]/);
  return `${date.replaceAll('-', '')}${time.slice(0, 5).replace(':', '')}.${time.slice(6, 8)}`;
}

function requireDone(connection: SshConnection, path: string, end: ScriptEnd): void {
  if (end.code === 0) return;
  throw refused(connection, path, lastLine(end.said) || `the command ended with ${end.code}`, end.said);
}

function refused(connection: SshConnection, path: string, why: string, said = ''): EngineError {
  return new EngineError('guest.failed', `Failed to copy to ${path} in ${connection.vm}: ${why}.`, {
    details: { vm: connection.vm, path, ...(said === '' ? {} : { stderr: said.slice(-4000) }) },
  });
}
