import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../core/files/disk-error.ts';
import type { Connections } from './connections.ts';
import { AttemptFailure } from './failure.ts';
import { type Mirrors, oneMirror, urlBelow } from './mirrors.ts';
import { overMirrors, type Patience } from './over-mirrors.ts';
import { Receiving, type WantedFile } from './receiving.ts';
import { discard, openSource, readBody } from './source.ts';

/** Fetches files of known content from mirrors. */
export interface Fetcher {
  /**
   * Fetches a file and puts it at `path` once its size and checksum are right: nothing else is ever there. What an earlier process had
   * received of it is not fetched again. Returns the bytes that were received. `remote.unreachable`, `remote.invalid` (no server has it or
   * gives it), `remote.hash-mismatch`, `host.no-space`, `cancelled`. `onReceived` is told how much of it is here whenever some arrives.
   */
  fetch(wanted: WantedFile, path: string, onReceived?: (bytes: number) => void): Promise<number>;
  /** The same for a caller with a signal of its own. */
  with(signal: AbortSignal): Fetcher;
}

export interface FetcherOptions {
  readonly connections: Connections;
  readonly mirrors: Mirrors;
  /** Folder of what was received so far, on the file system of the targets; the caller is the only one to use it. */
  readonly parts: string;
  readonly patience: Patience;
  /** The address of a file below a mirror (default: `urlBelow`). */
  readonly urlOf?: (mirror: string, location: string) => URL;
}

/** Opens the folder of parts, creating it. */
export async function openFetcher(options: FetcherOptions): Promise<Fetcher> {
  const { connections, mirrors, parts, urlOf = urlBelow } = options;
  let kept: Set<string>;
  try {
    await mkdir(parts, { recursive: true });
    kept = new Set(await readdir(parts));
  } catch (error) {
    throw diskError(error, parts);
  }

  function fetcher(patience: Patience): Fetcher {
    return {
      async fetch(wanted, path, onReceived) {
        const { signal } = patience;
        const name = `${wanted.checksum.algorithm}-${wanted.checksum.hex}`;
        const receiving = await Receiving.open(join(parts, name), wanted, kept.has(name), signal);
        const begun = receiving.received;
        try {
          if (!(await receiving.isComplete())) {
            await overMirrors(
              wanted.base === undefined ? mirrors : oneMirror(wanted.base),
              (mirror) => urlOf(mirror, wanted.location),
              patience,
              async (url, own) => await receiveFrom(url, receiving, connections, own, onReceived),
              () => receiving.progress,
            );
          }
          await receiving.place(path);
          kept.delete(name);
          return Math.max(0, receiving.received - begun);
        } finally {
          await receiving.close();
        }
      },
      with: (signal) => fetcher({ ...patience, signal }),
    };
  }

  return fetcher(options.patience);
}

/** One attempt to receive the rest of a file. */
async function receiveFrom(
  url: URL,
  receiving: Receiving,
  connections: Connections,
  signal: AbortSignal | undefined,
  onReceived: ((bytes: number) => void) | undefined,
): Promise<void> {
  const from = receiving.received;
  const range = from === 0 ? {} : { range: `bytes=${from}-` };
  const source = await openSource(url, range, connections, { verified: true, signal }, from);
  if (source.status === 416) {
    await discard(source);
    await receiving.restart();
    throw new AttemptFailure('wrong', 'its file is shorter than the repository says');
  }
  if (source.length !== undefined && receiving.needsMoreThan(source.from + source.length)) {
    await discard(source);
    await receiving.restart();
    throw new AttemptFailure('wrong', 'its file is shorter than the repository says');
  }
  if (from > 0 && source.from !== from) await receiving.restart();
  await readBody(source, async (chunk) => {
    await receiving.add(chunk);
    onReceived?.(receiving.received);
  });
  await receiving.check();
}
