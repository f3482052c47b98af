import { posix } from 'node:path';
import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { EngineError } from '../../../src-shared/errors.ts';
import { forEachLimit } from '../core/until.ts';
import type { TarMember } from '../disk/tar/tar-members.ts';
import type { SshConnection } from '../guest/ssh.ts';
import { exactly } from './archive.ts';
import type { LocalEntry } from './local-tree.ts';
import { type Transfer, unique } from './transfer.ts';

// Trees to and from guests without tar. Slower: several round trips for each file.

const PARALLEL = 8;
const NO_SUCH_FILE = 2;
const END_OF_FILE = 1;
/** Bytes of one request. */
const READ = 32 * 1024;
const TYPE = 0o170000;
const FOLDER = 0o040000;
const FILE = 0o100000;
const LINK = 0o120000;

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** Sends a tree, each file under a temporary name until it is complete. `guest.failed` when the guest has no sftp server. */
export async function sendTreeBySftp(transfer: Transfer, root: LocalEntry, entries: readonly LocalEntry[], path: string): Promise<void> {
  const { connection, signal, progress } = transfer;
  const sftp = await openSftp(connection);
  try {
    for (const folder of [root, ...entries.filter((entry) => entry.type === 'folder')]) {
      signal.throwIfAborted();
      await makeFolder(sftp, posix.join(path, folder.name), folder.mode);
    }
    const others = entries.filter((entry) => entry.type !== 'folder');
    await forEachLimit(others, PARALLEL, signal, async (entry, one) => {
      const final = posix.join(path, entry.name);
      const part = posix.join(posix.dirname(final), `.${unique()}.lago-part`);
      try {
        if (entry.type === 'link') await ask<unknown>((done) => sftp.symlink(entry.target, part, (error) => done(error, undefined)));
        else await sendContent(transfer, sftp, entry, part, one);
        await replace(sftp, part, final);
      } catch (error) {
        sftp.unlink(part, () => undefined);
        throw error;
      }
      progress.addFile();
    });
  } catch (error) {
    throw translate(error, `Failed to copy to ${path} in ${connection.vm}`);
  } finally {
    sftp.end();
  }
}

async function sendContent(transfer: Transfer, sftp: SFTPWrapper, entry: LocalEntry, part: string, signal: AbortSignal): Promise<void> {
  const { step, progress } = transfer;
  const content = exactly(entry, 0, {
    signal,
    onBytes: (count) => progress.addBytes(count),
    warn: (sentence) => step.log.warn(sentence),
  });
  const handle = await ask<Buffer>((done) => sftp.open(part, 'w', 0o600, done));
  try {
    let at = 0;
    for await (const chunk of content) {
      const position = at;
      await ask<unknown>((done) => sftp.write(handle, chunk, 0, chunk.length, position, (error) => done(error, undefined)));
      at += chunk.length;
    }
  } finally {
    await ask<unknown>((done) => sftp.close(handle, (error) => done(error, undefined)));
  }
  const { mode, mtime } = entry;
  await ask<unknown>((done) => sftp.setstat(part, { mode, mtime, atime: mtime }, (error) => done(error, undefined)));
}

async function makeFolder(sftp: SFTPWrapper, path: string, mode: number): Promise<void> {
  const there = await ask<{ isDirectory(): boolean } | undefined>((done) =>
    sftp.stat(path, (error, stats) => done(isMissing(error) ? undefined : error, isMissing(error) ? undefined : stats)),
  );
  if (there?.isDirectory() === true) return;
  await ask<unknown>((done) => sftp.mkdir(path, { mode: mode | 0o700 }, (error) => done(error, undefined)));
}

function isMissing(error: Error | undefined): boolean {
  return (error as { code?: number } | undefined)?.code === NO_SUCH_FILE;
}

/** Renames over a file that may exist: by OpenSSH's extension, else by removing it first. */
async function replace(sftp: SFTPWrapper, part: string, final: string): Promise<void> {
  try {
    await ask<unknown>((done) => sftp.ext_openssh_rename(part, final, (error) => done(error, undefined)));
  } catch (error) {
    if (!(error instanceof Error) || !/does not support/i.test(error.message)) throw error;
    await ask<unknown>((done) => sftp.unlink(final, (failed) => done(isMissing(failed ?? undefined) ? undefined : failed, undefined)));
    await ask<unknown>((done) => sftp.rename(part, final, (failed) => done(failed, undefined)));
  }
}

/** The members of a folder's archive, as if the guest had tar. */
export async function* membersBySftp(connection: SshConnection, path: string, signal: AbortSignal): AsyncGenerator<TarMember> {
  const sftp = await openSftp(connection);
  try {
    const { mode, mtime } = await ask<Stats>((done) => sftp.stat(path, done));
    yield { name: './', type: '5', size: 0, mode, mtime, target: '', sparse: undefined, content: nothing() };
    const waiting = [''];
    for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
      const at = posix.join(path, folder);
      const list = await ask<FileEntryWithStats[]>((done) => sftp.readdir(at, done));
      for (const { filename, attrs } of list) {
        signal.throwIfAborted();
        if (filename === '.' || filename === '..') continue;
        const name = folder === '' ? filename : `${folder}/${filename}`;
        const type = { [FOLDER]: '5', [FILE]: '0', [LINK]: '2' }[attrs.mode & TYPE] ?? '3';
        const target = type === '2' ? await ask<string>((done) => sftp.readlink(posix.join(path, name), done)) : '';
        if (type === '5') waiting.push(name);
        const size = type === '0' ? attrs.size : 0;
        const content: AsyncIterable<Buffer> = type === '0' ? contentOf(sftp, posix.join(path, name)) : nothing();
        yield { name, type, size, mode: attrs.mode, mtime: attrs.mtime, target, sparse: undefined, content };
      }
    }
  } catch (error) {
    throw translate(error, `${path} of ${connection.vm} could not be read`);
  } finally {
    sftp.end();
  }
}

/** The bytes of a file. It is opened when they are asked for, and closed after them. */
async function* contentOf(sftp: SFTPWrapper, path: string): AsyncGenerator<Buffer> {
  const handle = await ask<Buffer>((done) => sftp.open(path, 'r', done));
  try {
    for (let at = 0; ; ) {
      const position = at;
      const chunk = await ask<Buffer>((done) =>
        sftp.read(handle, Buffer.allocUnsafe(READ), 0, READ, position, (error, count, buffer) => {
          const end = (error as { code?: number } | undefined)?.code === END_OF_FILE;
          done(end ? undefined : error, end ? Buffer.alloc(0) : buffer.subarray(0, count));
        }),
      );
      if (chunk.length === 0) return;
      at += chunk.length;
      yield chunk;
    }
  } finally {
    await ask<unknown>((done) => sftp.close(handle, (error) => done(error, undefined)));
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}

async function openSftp(connection: SshConnection): Promise<SFTPWrapper> {
  try {
    return await ask<SFTPWrapper>((done) => connection.client.sftp(done));
  } catch (error) {
    throw new EngineError('guest.failed', `${connection.vm} has neither tar nor an sftp server: only single files can be copied.`, {
      cause: error,
      hint: 'Install tar in the VM, or copy an archive as a single file.',
    });
  }
}

async function ask<T>(call: (done: Done<T>) => void): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    call((error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(error);
    });
  });
}

/** The error of a failed request; `failure` is a sentence without its full stop. */
function translate(error: unknown, failure: string): unknown {
  if (error instanceof EngineError || !(error instanceof Error) || error.name === 'AbortError') return error;
  return new EngineError('guest.failed', `${failure}: ${error.message}.`, { cause: error });
}
