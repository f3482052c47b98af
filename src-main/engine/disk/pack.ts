import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import { run } from '../core/run.ts';
import { Tail } from '../core/tail.ts';

export interface PackOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of input read so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

export interface PackedFile {
  /** Of the uncompressed file, as in Lago's `.hash`. */
  readonly sha1: string;
  /** Bytes of that file. */
  readonly size: number;
}

const CHUNK = 1024 * 1024;
/** As in Lago: blocks of 16 MiB can be decompressed in parallel. */
const XZ = ['xz', '--compress', '--stdout', '--quiet', '--threads=0', '--block-size=16777216'];

/** `host.missing-tool` when xz is not installed: to be called before starting work that needs it at the end. */
export async function requireXz(signal?: AbortSignal): Promise<void> {
  try {
    await run(['xz', '--version'], { signal });
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'host.missing-tool') throw error;
    throw noXz(error);
  }
}

function noXz(cause: unknown): EngineError {
  return new EngineError('host.missing-tool', 'The program xz is not installed, and images are compressed with it.', {
    cause,
    details: { program: 'xz' },
    hint: 'Install xz-utils, or do it without compression.',
  });
}

/** Reads a file once to compute its SHA-1. */
export async function hashFile(path: string, options: PackOptions = {}): Promise<PackedFile> {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  return await read(path, sink, options);
}

/**
 * Compresses `from` to the new file `to`, computing the SHA-1 of `from` on the way; `to` is on disk when it resolves. Constant memory.
 * `host.missing-tool` without xz, `host.no-space`, `cancelled`; on failure `to` is left as it is.
 */
export async function compressFile(from: string, to: string, options: PackOptions = {}): Promise<PackedFile> {
  let target: FileHandle;
  try {
    target = await open(to, 'wx', 0o644);
  } catch (error) {
    throw diskError(error, to);
  }
  try {
    const [program = '', ...args] = XZ;
    // core/run.ts needs the whole input in memory.
    const child = spawn(program, args, { stdio: ['pipe', target.fd, 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
    const stderr = new Tail(2000);
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const ended = new Promise<number | NodeJS.Signals | Error>((resolve) => {
      child.on('error', resolve);
      child.on('close', (code, killed) => resolve(code ?? killed ?? 0));
    });
    const input = child.stdin;
    if (input === null) throw new EngineError('internal', 'xz was started without a pipe.');
    async function feed(pipe: NodeJS.WritableStream): Promise<PackedFile | Error> {
      try {
        return await read(from, pipe, options);
      } catch (error) {
        child.kill('SIGKILL');
        return error instanceof Error ? error : new Error(String(error));
      }
    }
    const [outcome, packed] = await Promise.all([ended, feed(input)]);
    if (outcome instanceof Error) throw noXz(outcome);
    if (options.signal?.aborted === true) throw new EngineError('cancelled', `Compressing ${from} was cancelled.`);
    // When xz exits first, our end of the pipe only reports that it is gone.
    if (outcome !== 0 && stderr.toString() !== '') throw failure(from, to, stderr.toString(), outcome);
    if (packed instanceof Error) throw diskError(packed, to);
    if (outcome !== 0) throw failure(from, to, stderr.toString(), outcome);
    await target.sync();
    return packed;
  } finally {
    await target.close();
  }
}

function failure(from: string, to: string, stderr: string, outcome: number | NodeJS.Signals): unknown {
  if (stderr.includes('No space left on device')) return diskError(Object.assign(new Error(stderr), { code: 'ENOSPC' }), to);
  const reason = stderr.trim().split('\n').at(-1) ?? '';
  return new EngineError('host.unavailable', `${from} could not be compressed: ${reason === '' ? `xz ended with ${outcome}` : reason}.`, {
    details: { exit: outcome, stderr },
  });
}

async function read(path: string, to: NodeJS.WritableStream, options: PackOptions): Promise<PackedFile> {
  const hash = createHash('sha1');
  let size = 0;
  async function* content(): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
      options.onBytes?.(size);
      yield chunk;
    }
  }
  try {
    await pipeline(Readable.from(content()), to, options.signal === undefined ? {} : { signal: options.signal });
  } catch (error) {
    if (options.signal?.aborted === true) throw new EngineError('cancelled', `Reading ${path} was cancelled.`, { cause: error });
    throw error;
  }
  return { sha1: hash.digest('hex'), size };
}
