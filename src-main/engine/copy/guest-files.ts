import { posix } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { drop, silentLog } from '../core/log.ts';
import { Tail } from '../core/tail.ts';
import { openChannel } from '../guest/channel.ts';
import { shellWords } from '../guest/services.ts';
import type { SshConnection } from '../guest/ssh.ts';
import { LOOK } from './guest-scripts.ts';

/** A path of a guest as it is at the moment. */
export interface GuestPath {
  readonly path: string;
  readonly kind: 'folder' | 'file' | 'special' | 'link' | 'missing';
  /** Whether the folder that it is in exists. */
  readonly parentExists: boolean;
  /** The guest's tar. */
  readonly tar: 'gnu' | 'tar' | 'none';
  /** Of a file, if the guest can say. */
  readonly file: GuestFile | undefined;
  /** Bytes of a file that an interrupted copy has left, 0 if there is none. */
  readonly partSize: number;
}

export interface GuestFile {
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly mode: number;
  /** Less is on disk than its size. */
  readonly sparse: boolean;
}

/** A path as the guest's programs take it: relative to the home, and never like an option. */
export function guestPath(given: string): string {
  const path = given === '' || given === '~' ? '.' : given.replace(/^~\/+/, './');
  return path.startsWith('-') ? `./${path}` : path;
}

/** The command line of a script with its arguments. */
export function scriptLine(script: string, ...args: readonly string[]): string {
  return shellWords(['sh', '-c', script, 'lago', ...args]);
}

/** Looks at a path, and at the file that an interrupted copy to it may have left. */
export async function lookAt(connection: SshConnection, path: string, signal: AbortSignal, part = ''): Promise<GuestPath> {
  return lookedAt(connection.vm, path, await connection.exec(scriptLine(LOOK, path, posix.dirname(path), part), { signal }));
}

/** What `LOOK` has said about a path. */
export function lookedAt(
  vm: string,
  path: string,
  { code, stdout, stderr }: { readonly code: number; readonly stdout: string; readonly stderr: string },
): GuestPath {
  const [kind = '', parent, tar = '', file = '', partSize = ''] = stdout.split('\n');
  if (code !== 0 || !isKind(kind)) {
    throw new EngineError('guest.failed', `${vm} cannot be asked for its files: ${lastLine(stderr) || 'its shell gave no answer'}.`, {
      details: { vm, code },
      hint: 'Copying needs a POSIX shell in the VM.',
    });
  }
  const numbers = /^(\d+) (-?\d+) ([0-7]+) (\d+) (\d+)$/.exec(file);
  return {
    path,
    kind,
    parentExists: parent === 'folder',
    tar: tar === 'gnu' || tar === 'tar' ? tar : 'none',
    file:
      numbers === null
        ? undefined
        : {
            size: Number(numbers[1]),
            mtime: Number(numbers[2]),
            mode: Number.parseInt(numbers[3] ?? '', 8) & 0o777,
            sparse: Number(numbers[4]) * Number(numbers[5]) < Number(numbers[1]),
          },
    partSize: Number(partSize) || 0,
  };
}

function isKind(word: string): word is GuestPath['kind'] {
  return ['folder', 'file', 'special', 'link', 'missing'].includes(word);
}

export interface ScriptEnd {
  readonly code: number;
  /** The end of what it said on stderr. */
  readonly said: string;
}

/** Runs a script and sends it `input`, as fast as the guest reads. Stops sending when the script ends early. */
export async function feed(
  connection: SshConnection,
  command: string,
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<ScriptEnd> {
  const channel = await openChannel(connection.client, connection.lost, { command, signal });
  const said = new Tail(64 * 1024);
  channel.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  channel.stream.resume();
  let ended = false;
  const whenEnded = async (): Promise<number> => {
    try {
      return await channel.exit;
    } finally {
      ended = true;
    }
  };
  const exit = whenEnded();
  // Awaited below, unless the input fails first.
  drop(exit, silentLog, 'exit');
  try {
    for await (const chunk of input) {
      if (ended) break;
      if (!channel.stream.write(chunk)) await drained(channel.stream, exit);
    }
    channel.stream.end();
    return { code: await exit, said: said.toString() };
  } catch (error) {
    const reason = error instanceof EngineError ? error : new EngineError('internal', String(error), { cause: error });
    channel.close(reason);
    throw error;
  }
}

async function drained(stream: NodeJS.WritableStream, exit: Promise<number>): Promise<void> {
  let wake = (): void => undefined;
  const drain = new Promise<void>((resolve) => {
    wake = resolve;
    stream.once('drain', resolve);
  });
  await Promise.race([drain, exit]);
  stream.off('drain', wake);
}

/** Runs a script and gives its output to `take`, no faster than that reads. */
export async function drain(
  connection: SshConnection,
  command: string,
  take: (output: AsyncIterable<Buffer>) => Promise<void>,
  signal: AbortSignal,
): Promise<ScriptEnd> {
  const channel = await openChannel(connection.client, connection.lost, { command, signal });
  const said = new Tail(64 * 1024);
  channel.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  channel.stream.end();
  try {
    await take(channel.stream as AsyncIterable<Buffer>);
    return { code: await channel.exit, said: said.toString() };
  } catch (error) {
    channel.close(error instanceof EngineError ? error : new EngineError('internal', String(error), { cause: error }));
    throw error;
  }
}

/** The last line of an output, without its full stop: the cause, as programs say it. */
export function lastLine(said: string): string {
  return (said.trim().split('\n').at(-1) ?? '').replace(/\.$/, '');
}
