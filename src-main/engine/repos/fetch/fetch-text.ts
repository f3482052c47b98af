import type { Connections } from './connections.ts';
import { AttemptFailure, failureKind } from './failure.ts';
import { type Mirrors, urlBelow } from './mirrors.ts';
import { overMirrors, type Patience } from './over-mirrors.ts';
import { discard, openSource, readBody } from './source.ts';

/** A small file that was read into memory. */
export interface FetchedText {
  readonly content: Buffer;
  readonly etag: string | undefined;
  readonly modified: string | undefined;
}

export interface TextOptions {
  readonly maxBytes: number;
  /** Of what is here already: `unchanged` is the answer when the server still has just that. */
  readonly known?: { readonly etag?: string | undefined; readonly modified?: string | undefined } | undefined;
  /** Throws when the content is not what it should be; another attempt or mirror may have better. */
  readonly check?: (content: Buffer) => void;
}

/**
 * Fetches a small file below the mirrors (without `location`: that the mirror itself names), `unchanged` if nothing is new, `undefined` when
 * no mirror has it. `remote.unreachable`, `remote.invalid`, `remote.hash-mismatch` (no mirror has the right one), `cancelled`.
 */
export async function fetchText(
  connections: Connections,
  mirrors: Mirrors,
  location: string | undefined,
  text: TextOptions,
  patience: Patience,
): Promise<FetchedText | 'unchanged' | undefined> {
  const urlOf = (mirror: string): URL => (location === undefined ? new URL(mirror) : urlBelow(mirror, location));
  try {
    return await overMirrors(mirrors, urlOf, patience, async (url, signal) => await readSmall(url, text, connections, signal));
  } catch (error) {
    if (failureKind(error) === 'missing') return undefined;
    throw error;
  }
}

/** One attempt to read a small file. */
async function readSmall(
  url: URL,
  { maxBytes, known, check }: TextOptions,
  connections: Connections,
  signal: AbortSignal | undefined,
): Promise<FetchedText | 'unchanged'> {
  const headers = {
    ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
    ...(known?.modified === undefined ? {} : { 'if-modified-since': known.modified }),
  };
  const source = await openSource(url, headers, connections, { signal });
  if (source.status === 304) {
    await discard(source);
    return 'unchanged';
  }
  const chunks: Buffer[] = [];
  let size = 0;
  await readBody(source, async (chunk) => {
    size += chunk.length;
    if (size > maxBytes) throw new AttemptFailure('wrong', `it is larger than the ${maxBytes} bytes that it may have`);
    chunks.push(chunk);
    await Promise.resolve();
  });
  if (source.length !== undefined && size !== source.length) {
    throw new AttemptFailure('dropped', `the connection ended at byte ${size} of ${source.length}`);
  }
  const content = Buffer.concat(chunks);
  try {
    check?.(content);
  } catch (error) {
    throw new AttemptFailure('wrong', `what the server sent is not right (${(error as Error).message.replace(/\.$/, '')})`, error);
  }
  return { content, etag: source.etag, modified: source.modified };
}
