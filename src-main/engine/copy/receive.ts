import { chmod, mkdir, open, rename, rm, stat, truncate, utimes } from 'node:fs/promises';
import { dirname, join, posix, resolve } from 'node:path';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Step } from '../core/operation.ts';
import { writeSparse } from '../disk/sparse-file.ts';
import { readMembers } from '../disk/tar/tar-members.ts';
import { drain, type GuestFile, type GuestPath, guestPath, lastLine, lookAt, type ScriptEnd, scriptLine } from './guest-files.ts';
import { PACK_FILE, PACK_FOLDER, READ_FILE } from './guest-scripts.ts';
import { keptPart, ownPart, removeStaleParts } from './local-parts.ts';
import { RESUMABLE } from './send.ts';
import { membersBySftp } from './sftp-tree.ts';
import type { Transfer } from './transfer.ts';
import { moveInto, type UnpackOptions, unpack } from './unpack.ts';

/** Members of one archive: more files than a copy is for. */
const MAX_MEMBERS = 10_000_000;
/** Holes as such, hard links as files of their own, no extended headers. */
const GNU_OPTIONS = ['--format=gnu', '--sparse', '--hard-dereference'];

/**
 * Copies a file or folder of the guest to a local path, like `scp -r`: into it if it is a folder, else to exactly that name. Returns the
 * path. Nothing incomplete is ever under a final name. What the guest could not read is missing, and then it fails after the rest has
 * arrived. `input.missing-file` when there is nothing at the path.
 */
export async function receive(transfer: Transfer, remote: string, local: string): Promise<string> {
  const { connection, signal } = transfer;
  const there = await lookAt(connection, guestPath(remote), signal);
  const into = await isFolder(local);
  const base = posix.basename(there.path);
  const named = !['.', '..', ''].includes(base) && !/\/\.?$/.test(remote.replace(/\/+$/, ''));
  const target = resolve(into && named ? join(local, base) : local);
  if (!into && !(await isFolder(dirname(target)))) {
    throw new EngineError('input.missing-file', `There is no directory ${dirname(target)} to copy to.`);
  }
  await receiveTo(transfer, there, target);
  return target;
}

/** Copies what was found in the guest to exactly this local path; a folder that is there is added to. */
export async function receiveTo(transfer: Transfer, there: GuestPath, target: string): Promise<void> {
  const { connection } = transfer;
  switch (there.kind) {
    case 'folder':
      return await receiveTree(transfer, there, target);
    case 'file':
      if (there.tar === 'gnu' && there.file?.sparse === true) return await receiveTree(transfer, there, target);
      return await receiveFile(transfer, there, target);
    case 'missing':
    case 'link':
      throw new EngineError('input.missing-file', `${connection.vm}: ${there.path}: No such file or directory.`, {
        details: { vm: connection.vm, path: there.path },
      });
    case 'special':
      throw new EngineError('input.invalid', `${connection.vm}: ${there.path} is neither a file nor a directory.`);
  }
}

async function receiveTree(transfer: Transfer, there: GuestPath, target: string): Promise<void> {
  const { connection, step, signal, progress } = transfer;
  await removeStaleParts(target, undefined);
  const scratch = ownPart(target);
  await mkdir(scratch, { mode: 0o700 }).catch((error: unknown) => {
    throw diskError(error, scratch);
  });
  try {
    const options = {
      signal,
      onFile: () => progress.addFile(),
      onBytes: (count: number) => progress.addBytes(count),
    };
    const tree = join(scratch, 'c');
    await mkdir(tree, { mode: 0o700 });
    if (there.tar === 'none') {
      const skip = (sentence: string): void => step.log.warn(`${connection.vm}: ${sentence}`);
      await unpack(membersBySftp(connection, there.path, signal), tree, { ...options, skip });
      await moveInto(tree, target);
      return;
    }
    const take = async (output: AsyncIterable<Buffer>): Promise<void> =>
      await unpackArchive(output, tree, there, { vm: connection.vm, step, ...options });
    const end = await drain(connection, scriptLine(...packWords(there)), take, signal);
    await moveInto(there.kind === 'folder' ? tree : join(tree, posix.basename(there.path)), target);
    reportEnd(connection.vm, step, there, end);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The script that archives a file or folder of the guest, and its arguments. */
export function packWords(there: GuestPath): [script: string, ...args: string[]] {
  const gnu = there.tar === 'gnu' ? GNU_OPTIONS : [];
  return there.kind === 'folder'
    ? [PACK_FOLDER, there.path, ...gnu]
    : [PACK_FILE, posix.dirname(there.path), posix.basename(there.path), ...gnu];
}

interface ArchiveOptions extends Omit<UnpackOptions, 'skip'> {
  readonly vm: string;
  readonly step: Step;
}

/** Unpacks what such a script prints into an empty folder. */
export async function unpackArchive(output: AsyncIterable<Buffer>, into: string, there: GuestPath, options: ArchiveOptions): Promise<void> {
  const { vm, step } = options;
  const refuse = (why: string): EngineError =>
    new EngineError('guest.failed', `What ${vm} sent of ${there.path} cannot be unpacked: ${why}.`);
  await unpack(readMembers(output, MAX_MEMBERS, refuse), into, { ...options, skip: (sentence) => step.log.warn(`${vm}: ${sentence}`) });
}

/** Fails when something is missing in the copy. GNU tar ends with 1 when files changed while it read them, which logs always do. */
export function reportEnd(vm: string, step: Step, there: GuestPath, end: ScriptEnd): void {
  const lines = end.said.split('\n').filter((line) => line.trim() !== '' && !/Removing leading|Exiting with failure/.test(line));
  if (end.code === 0 || (end.code === 1 && there.tar === 'gnu')) {
    for (const line of lines) step.log.warn(`${vm}: ${line.trim()}`);
    return;
  }
  throw incomplete(vm, there, lines.join('\n'), end.code);
}

function incomplete(vm: string, there: GuestPath, said: string, code: number): EngineError {
  const why = lastLine(said) || `the command ended with ${code}`;
  return new EngineError('guest.failed', `${there.path} of ${vm} could not be read completely: ${why}.`, {
    details: { vm, path: there.path, stderr: said.slice(-4000) },
    hint: 'What could be read was copied.',
  });
}

async function receiveFile(transfer: Transfer, there: GuestPath, target: string): Promise<void> {
  const { connection, step, signal, progress } = transfer;
  const { file } = there;
  if (file !== undefined) progress.expect(1, file.size);
  if (await isFolder(target)) throw new EngineError('input.invalid', `${target} is a directory; a file cannot take its place.`);
  const keep = file !== undefined && file.size >= RESUMABLE;
  const part = keep ? keptPart(target, file.size, file.mtime) : ownPart(target);
  await removeStaleParts(target, part);
  const from = keep ? await sizeOf(part, file.size) : 0;
  if (from > 0) {
    step.log.info(`Continuing an interrupted copy of ${there.path} at byte ${from}.`);
    progress.addBytes(from);
  }
  let complete = false;
  try {
    const line = scriptLine(READ_FILE, there.path, String(from + 1));
    const end = await drain(connection, line, async (output) => await write(part, from, counted(output, transfer)), signal);
    if (end.code !== 0) {
      complete = true;
      await rm(part, { force: true });
      throw incomplete(connection.vm, there, end.said, end.code);
    }
    await finish(part, file);
    await rename(part, target);
    complete = true;
  } catch (error) {
    // Who cancels does not want to continue.
    if (!complete && (!keep || isCancelled(error) || signal.aborted)) await rm(part, { force: true });
    throw diskError(error, target);
  }
  progress.addFile();
}

async function write(part: string, from: number, content: AsyncIterable<Buffer>): Promise<void> {
  if (from === 0) {
    await writeSparse(part, content, []);
    return;
  }
  const file = await open(part, 'a');
  try {
    for await (const chunk of content) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function* counted(output: AsyncIterable<Buffer>, { progress, signal }: Transfer): AsyncGenerator<Buffer> {
  for await (const chunk of output) {
    signal.throwIfAborted();
    progress.addBytes(chunk.length);
    yield chunk;
  }
}

async function finish(part: string, file: GuestFile | undefined): Promise<void> {
  await chmod(part, file?.mode ?? 0o644);
  if (file !== undefined) await utimes(part, file.mtime, file.mtime);
}

/** Bytes that an interrupted copy has left; nothing is kept of one that is too long. */
async function sizeOf(part: string, limit: number): Promise<number> {
  const info = await stat(part).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, part);
  });
  if (info === undefined) return 0;
  if (info.size > limit) {
    await truncate(part, 0);
    return 0;
  }
  return info.size;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw diskError(error, path);
  }
}
