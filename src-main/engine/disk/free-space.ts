import { statfs } from 'node:fs/promises';
import { formatBytes } from '../../../src-shared/bytes.ts';
import { EngineError } from '../../../src-shared/errors.ts';

/** Left free for other uses of that file system. */
const RESERVE = 64 * 1024 * 1024;
const CHECK_EVERY = 256 * 1024 * 1024;

/** Bytes still available to this user below a folder. */
export type FreeBytes = (folder: string) => Promise<number>;

export interface SpaceOptions {
  /** Default: what the file system reports for this user. */
  readonly freeBytes?: FreeBytes | undefined;
}

async function fileSystemFree(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** `host.no-space` when `bytes` plus a reserve of 64 MiB do not fit into `folder`. `what` begins the message: "The disk x". */
export async function requireSpace(folder: string, bytes: number, what: string, options: SpaceOptions = {}): Promise<void> {
  const free = await (options.freeBytes ?? fileSystemFree)(folder);
  if (free - RESERVE >= bytes) return;
  throw new EngineError(
    'host.no-space',
    `${what} does not fit into ${folder}: ${formatBytes(bytes)} more are needed, ${formatBytes(free)} are free.`,
    {
      details: { needed: bytes, free },
      hint: 'Free space there and try again.',
    },
  );
}

/** For `writeSparse`: checks the free space every 256 MiB, and for cancellation at each block. */
export function spaceWatch(
  folder: string,
  what: string,
  signal: AbortSignal | undefined,
  options: SpaceOptions = {},
): (bytes: number) => Promise<void> {
  let unchecked = 0;
  return async (bytes) => {
    if (signal?.aborted === true) throw new EngineError('cancelled', `Writing ${what} was cancelled.`);
    unchecked += bytes;
    if (unchecked < CHECK_EVERY) return;
    unchecked = 0;
    await requireSpace(folder, bytes, what, options);
  };
}
