import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { decompress } from '../core/decompress.ts';
import { type DownloadOptions, describeProgress, openDownload } from '../core/download/download.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Log } from '../core/log.ts';
import { checkForeignImage } from './foreign-image.ts';
import { requireSpace, type SpaceOptions, spaceWatch } from './free-space.ts';
import { holdPart, isBrokenOff } from './parts.ts';
import { writeSparse } from './sparse-file.ts';

/** An operation's `Step` can be passed. */
export interface ReceiveOptions extends SpaceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
  /** 0..1 and what is happening now. */
  readonly progress?: ((fraction: number, detail?: string) => void) | undefined;
  readonly download?: Pick<DownloadOptions, 'attempts' | 'backOffMs' | 'idleMs' | 'env'> | undefined;
  /** A template store that keeps an interrupted download for the next process that wants the same URL. */
  readonly store?: string | undefined;
}

export interface ImageRequest {
  /** http, https or file. */
  readonly url: string;
  /** Absolute; must not exist, its folder must. */
  readonly to: string;
  /** As the init file names it: qcow2, raw, iso... */
  readonly format: string;
}

/** True when the URL's path ends in a compression suffix; compressed content without one is kept as it is, as Lago did. */
export function saysCompressed(url: string): boolean {
  return /\.(?:xz|gz|zst|bz2)$/i.test(new URL(url).pathname);
}

/**
 * Downloads a disk image in one pass: decompressed if its name says so, sparse, checked (`checkForeignImage`) and on disk before the rename
 * to `to`, so that a file of that name is complete. Constant memory. Leaves nothing when it rejects: with `remote.unreachable`,
 * `remote.invalid`, `input.invalid` (another format), `host.no-space`, `host.denied`, `cancelled`.
 */
export async function receiveImage(request: ImageRequest, options: ReceiveOptions = {}): Promise<{ readonly virtualSize: number }> {
  const { url, to, format } = request;
  const what = `The download ${url}`;
  const folder = dirname(to);
  await using part = options.store === undefined ? undefined : await holdPart(options.store, url, options.signal);
  const download = await openDownload(url, {
    ...options.download,
    keep: part?.path,
    signal: options.signal,
    log: options.log,
    onProgress: (progress) =>
      options.progress?.(progress.total === null ? 0 : (progress.received / progress.total) * 0.97, describeProgress(progress)),
  });
  if (download === undefined)
    throw new EngineError('remote.invalid', `There is nothing to download at ${url}.`, { hint: 'Check the url in the init file.' });
  const temporary = `${to}.part`;
  try {
    await requireSpace(folder, download.total ?? 0, what, options);
    const content = saysCompressed(url) ? (await decompress(download.content, url, options.signal)).content : download.content;
    await writeSparse(temporary, content, [], spaceWatch(folder, what, options.signal, options));
    options.progress?.(0.98, 'checking the image');
    const { virtualSize } = await checkForeignImage(temporary, format, what, options.signal);
    await rename(temporary, to).catch((error: unknown) => {
      throw diskError(error, to);
    });
    await download.forget();
    options.progress?.(1, 'done');
    return { virtualSize };
  } catch (error) {
    await rm(temporary, { force: true });
    if (!isBrokenOff(error, options.signal)) await download.forget();
    throw error;
  }
}
