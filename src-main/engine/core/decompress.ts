import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { EngineError } from '../../../src-shared/errors.ts';
import { Tail } from './tail.ts';

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'bzip2';

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['gzip', [0x1f, 0x8b, 0x08]],
];
/** Debian packages of programs with another name. */
const PACKAGES: Readonly<Record<string, string>> = { xz: 'xz-utils', unzck: 'zchunk' };
const LONGEST = 6;

/** The compression of content that begins with `head` (six bytes are enough); `none` for anything else. */
export function compressionOf(head: Uint8Array): Compression {
  return MAGIC.find(([, magic]) => magic.every((byte, index) => head[index] === byte))?.[0] ?? 'none';
}

/**
 * Decompresses content, detecting the format from its first bytes and not its name. gzip is handled here; xz, zstd and bzip2 by the
 * programs of that name. Reading throws the input's errors, `remote.invalid` when the data is damaged (`what` names it), and
 * `host.missing-tool`.
 */
export async function decompress(
  input: AsyncIterable<Buffer>,
  what: string,
  signal?: AbortSignal,
): Promise<{ readonly compression: Compression; readonly content: AsyncIterable<Buffer> }> {
  const iterator = input[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let size = 0;
  while (size < LONGEST) {
    const next = await iterator.next();
    if (next.done === true) break;
    head.push(next.value);
    size += next.value.length;
  }
  async function* whole(): AsyncGenerator<Buffer> {
    try {
      yield* head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  const compression = compressionOf(Buffer.concat(head));
  switch (compression) {
    case 'none':
      return { compression, content: whole() };
    case 'gzip':
      return { compression, content: gunzip(whole(), what) };
    case 'xz':
      // The limit is far above what any preset needs and stops a hostile header from exhausting memory.
      return {
        compression,
        content: decompressWith(['xz', '--decompress', '--stdout', '--memlimit-decompress=1GiB'], whole(), what, signal),
      };
    default:
      return { compression, content: decompressWith([compression, '--decompress', '--stdout', '--quiet'], whole(), what, signal) };
  }
}

function damaged(what: string, reason: string, cause: unknown): EngineError {
  return new EngineError('remote.invalid', `${what} cannot be decompressed: ${reason}.`, {
    cause,
    hint: 'The file is damaged at its source; tell its maintainer.',
  });
}

async function* gunzip(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<Buffer> {
  const output = createGunzip({ chunkSize: 256 * 1024 });
  const feeding = feed(input, output);
  try {
    yield* output as AsyncIterable<Buffer>;
  } catch (error) {
    throw (await feeding) ?? damaged(what, (error as Error).message, error);
  } finally {
    output.destroy();
    await feeding;
  }
}

/** Pumps the input and returns its error, if any; the output's reader sees the output's own errors. */
async function feed(input: AsyncIterable<Buffer>, output: NodeJS.WritableStream): Promise<EngineError | undefined> {
  try {
    await pipeline(Readable.from(input), output);
    return undefined;
  } catch (error) {
    return error instanceof EngineError ? error : undefined;
  }
}

/**
 * The output of a program that decompresses what it reads from stdin, or a file that its arguments name (`input` is empty then). Errors as
 * `decompress`.
 */
export async function* decompressWith(
  argv: readonly string[],
  input: AsyncIterable<Buffer>,
  what: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const [program = '', ...args] = argv;
  // core/run.ts keeps output in memory; this one streams.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  const stderr = new Tail(2000);
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const ended = new Promise<number | NodeJS.Signals | Error>((resolve) => {
    child.on('error', resolve);
    child.on('close', (code, killed) => resolve(code ?? killed ?? 0));
  });
  const abort = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  const feeding = feed(input, child.stdin);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [outcome, broken] = await Promise.all([ended, feeding]);
    if (signal?.aborted === true) throw new EngineError('cancelled', `Decompressing ${what} was cancelled.`);
    if (broken !== undefined) throw broken;
    if (outcome instanceof Error) {
      throw new EngineError('host.missing-tool', `The program ${program} is not installed, and ${what} is compressed with it.`, {
        cause: outcome,
        details: { program },
        hint: `Install ${PACKAGES[program] ?? program}.`,
      });
    }
    if (outcome !== 0) throw damaged(what, stderr.toString().trim().split('\n').at(-1) ?? `${program} ended with ${outcome}`, undefined);
  } finally {
    signal?.removeEventListener('abort', abort);
    child.kill('SIGKILL');
    child.stdout.destroy();
    await Promise.all([ended, feeding]);
  }
}
