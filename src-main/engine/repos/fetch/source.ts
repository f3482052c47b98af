import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Connections, GetOptions } from './connections.ts';
import { AttemptFailure, failureOfStatus } from './failure.ts';

/** Content that is about to be read. */
export interface Source {
  readonly status: number;
  /** Bytes that follow; undefined when the server does not say. */
  readonly length: number | undefined;
  /** Where in the file it begins. */
  readonly from: number;
  readonly etag: string | undefined;
  readonly modified: string | undefined;
  readonly body: NodeJS.ReadableStream & { destroy(): unknown };
  done(): void;
}

/** Asks for a file, from byte `from` on. Throws an `AttemptFailure` when there is nothing to read. */
export async function openSource(
  url: URL,
  headers: Readonly<Record<string, string>>,
  connections: Connections,
  options: GetOptions,
  from = 0,
): Promise<Source> {
  if (url.protocol === 'file:') return await openLocal(url, from);
  const { status, message, done } = await connections.get(url, headers, options);
  const failure = status === 304 || (status === 416 && from > 0) ? undefined : failureOfStatus(status);
  if (failure !== undefined) {
    message.resume();
    done();
    throw failure;
  }
  const range = /^bytes (\d+)-/.exec(message.headers['content-range'] ?? '');
  const length = message.headers['content-length'];
  return {
    status,
    length: length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined,
    from: status === 206 && range !== null ? Number(range[1]) : 0,
    etag: message.headers.etag,
    modified: message.headers['last-modified'],
    body: message,
    done,
  };
}

async function openLocal(url: URL, from: number): Promise<Source> {
  try {
    const path = fileURLToPath(url);
    const { size, mtimeMs } = await stat(path);
    const body = createReadStream(path, { start: from, highWaterMark: 1024 * 1024 });
    return { status: 200, length: size - from, from, etag: undefined, modified: String(mtimeMs), body, done: () => undefined };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new AttemptFailure('missing', 'there is no such file', error);
    throw new AttemptFailure('refused', `it cannot be read (${code ?? 'unknown error'})`, error);
  }
}

/** Reads content to its end, one chunk after the other. */
export async function readBody(source: Source, add: (chunk: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const chunk of source.body) await add(chunk as Buffer);
  } catch (error) {
    source.body.destroy();
    throw error;
  } finally {
    source.done();
  }
}

/** Reads an answer that nobody wants, so that its connection can be used again. */
export async function discard(source: Source): Promise<void> {
  await readBody(source, async () => await Promise.resolve());
}
