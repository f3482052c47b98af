import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { decompress } from '../core/decompress.ts';
import {
  type Download,
  type DownloadOptions,
  describeProgress,
  downloadText,
  openDownload,
  remoteSize,
} from '../core/download/download.ts';
import { diskError, readJson, writeFileAtomic, writeJson } from '../core/files/json-file.ts';
import { readTextFile } from '../core/files/text-file.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';
import type { Log } from '../core/log.ts';
import type { PauseGate } from '../core/pause.ts';
import type { Checksums, HashAlgorithm } from '../disk/checksums.ts';
import { isBrokenOff, removeStaleParts } from '../disk/parts.ts';
import { type ImageFormat, inspectImage } from '../disk/qemu-img.ts';
import { writeSparse } from '../disk/sparse-file.ts';
import type { TemplateVersion } from './repository.ts';
import { addUser, evictImage, formatOf, readUsage, StoredInfo, type StoredUsage, type TemplateUser, verifyImage } from './store-usage.ts';

/** Metadata of a template's image: Lago's `.metadata` (distro, root-partition...) as received, unchecked beyond being JSON. */
export type TemplateMetadata = Readonly<Record<string, unknown>>;

/** An image in the store, ready to back an overlay. */
export interface StoredTemplate {
  readonly fullName: string;
  /** Absolute. Never written to again. */
  readonly path: string;
  readonly format: ImageFormat;
  /** Bytes that a guest sees. */
  readonly virtualSize: number;
  /** SHA-1 of the image from Lago's `.hash`, undefined when that file is gone. */
  readonly sha1: string | undefined;
  readonly metadata: TemplateMetadata;
}

/** What planning needs to know about a template, found without changing anything. */
export interface ResolvedTemplate {
  readonly fullName: string;
  readonly template: string;
  readonly version: string;
  readonly cached: boolean;
  /** Its present or future path in the store. */
  readonly path: string;
  readonly metadata: TemplateMetadata;
  readonly distro: string | undefined;
  /** Virtual size in bytes, null when not yet known. */
  readonly size: number | null;
  /** Known once it is cached. */
  readonly format: ImageFormat | undefined;
  /** Bytes to fetch, 0 when it is cached, null when the source does not say. */
  readonly downloadSize: number | null;
  /** URL of the image at its source. */
  readonly from: string;
}

export interface ResolveOptions {
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
}

/** An operation's `Step` can be passed. */
export interface FetchOptions extends ResolveOptions {
  /** 0..1 and what is happening now. */
  readonly progress?: ((fraction: number, detail?: string) => void) | undefined;
  /** While it is paused nothing is read; received bytes are kept. */
  readonly gate?: PauseGate | undefined;
  /** Recorded as a user while the image is locked, so that it cannot be evicted in between. */
  readonly user?: TemplateUser | undefined;
}

export interface StoreOptions {
  readonly download?: Pick<DownloadOptions, 'attempts' | 'backOffMs' | 'idleMs' | 'env'>;
  /** Bytes still available below a folder (default: what the file system reports for this user). */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

export interface TemplateStore {
  readonly path: string;
  /** Works for cached and uncached templates alike; reads at most metadata and size at the source. */
  resolve(template: TemplateVersion, options?: ResolveOptions): Promise<ResolvedTemplate>;
  /** The stored image, `undefined` when it is not in the store. Changes nothing. */
  find(fullName: string, options?: ResolveOptions): Promise<StoredTemplate | undefined>;
  /** Downloads it into the store unless it is there. See `openStore` for errors. */
  fetch(template: TemplateVersion, options?: FetchOptions): Promise<StoredTemplate>;
  /** Full names of all images in the store, sorted. */
  list(): Promise<readonly string[]>;
  /** Records in `.users` that a prefix uses the template; drops users whose uuid file has changed. */
  markUsed(fullName: string, user: TemplateUser, options?: ResolveOptions): Promise<void>;
  /** All images with sizes and living users, sorted by name. Read-only. */
  usage(): Promise<readonly StoredUsage[]>;
  /**
   * Removes an image and its side files; returns the number of bytes freed. `template.missing`, `conflict.locked` naming its users or the
   * process that is downloading it.
   */
  evict(fullName: string, options?: ResolveOptions): Promise<number>;
  /** Evicts and returns all images without users that were last used at least this long (ms) ago. */
  evictUnused(olderThanMs: number, options?: ResolveOptions): Promise<readonly StoredUsage[]>;
  /**
   * Reads the image again and compares every recorded checksum. Returns which; `remote.hash-mismatch` when one differs, `not-available`
   * when none was recorded, `template.missing`.
   */
  verify(fullName: string, options?: FetchOptions): Promise<readonly HashAlgorithm[]>;
}

/** Files that this or other software keeps beside the image. */
const SIDE_FILE = /\.(?:metadata|hash|users|lock|info|part|part\.json|tmp|[0-9a-f]{8}\.tmp)$/;
const METADATA_LIMIT = 1024 * 1024;
/** Left free for other uses of that file system. */
const RESERVE = 64 * 1024 * 1024;
const CHECK_EVERY = 256 * 1024 * 1024;

const Metadata = z.record(z.string(), z.unknown());

/**
 * The local cache of templates, in Lago's layout: `STORE/REPO:TEMPLATE:VERSION` with `.hash`, `.metadata`, `.users`, `.lock`; a `/` in a
 * name is a folder. Nothing is created before the first `fetch`.
 *
 * An image keeps its published format. Lago converts to raw and lets QEMU guess the format of a backing image; it guesses a qcow2 as well,
 * so both programs can share a store. We never guess: our own file `.info` records the format, and an image without one (Lago's) is qcow2
 * by its magic number, else raw. A qcow2 that names a backing or data file is refused, since it would read other files of this machine.
 *
 * `fetch` reads the source once: it downloads, decompresses (by content), hashes and writes (sparse) in one stream to `DEST.tmp`, and
 * renames that to `DEST` once everything is verified and on disk. So `DEST` is always complete, and other processes that want it wait on
 * `DEST.lock` and find it there. An interrupted download, even a killed one, stays in `DEST.part` for a week, and the next `fetch` resumes
 * it. Rejects with `remote.hash-mismatch`, `remote.unreachable`, `remote.invalid` (no such file, no checksum, damaged, unusable),
 * `host.no-space`, `host.denied`, `host.missing-tool`, `cancelled`; the store's images are then as before.
 */
export function openStore(path: string, options: StoreOptions = {}): TemplateStore {
  const freeBytes = options.freeBytes ?? fileSystemFree;
  const destination = (fullName: string): string => {
    const target = join(path, fullName);
    if (relative(path, target).startsWith('..') || SIDE_FILE.test(fullName)) {
      throw new EngineError('input.invalid', `${JSON.stringify(fullName)} cannot be the name of a template.`);
    }
    return target;
  };

  async function find(fullName: string, resolveOptions: ResolveOptions = {}): Promise<StoredTemplate | undefined> {
    return await readStored(fullName, destination(fullName), resolveOptions);
  }

  async function resolve(template: TemplateVersion, resolveOptions: ResolveOptions = {}): Promise<ResolvedTemplate> {
    const { fullName, version, url } = template;
    const target = destination(fullName);
    const base = { fullName, template: template.template, version, path: target, from: url };
    const stored = await readStored(fullName, target, resolveOptions);
    if (stored !== undefined) {
      const { metadata, virtualSize, format } = stored;
      return { ...base, cached: true, metadata, distro: distroOf(metadata), size: virtualSize, format, downloadSize: 0 };
    }
    // A user is waiting for a plan: report slow servers quickly; fetch retries properly.
    const source = { attempts: 2, ...sourceOptions(options, resolveOptions) };
    const metadata = await metadataOf(template, source);
    const size = virtualSizeIn(metadata) ?? (await localVirtualSize(url, resolveOptions));
    const downloadSize = await firstOf(imageUrls(template), async (candidate) => await remoteSize(candidate, source));
    return {
      ...base,
      cached: false,
      metadata,
      distro: distroOf(metadata),
      size,
      format: undefined,
      downloadSize: downloadSize?.value ?? null,
    };
  }

  async function fetchTemplate(template: TemplateVersion, fetchOptions: FetchOptions = {}): Promise<StoredTemplate> {
    const { fullName } = template;
    const { user } = fetchOptions;
    const target = destination(fullName);
    const present = await readStored(fullName, target, fetchOptions);
    if (present !== undefined && user === undefined) return present;
    if (present === undefined) {
      try {
        await mkdir(dirname(target), { recursive: true });
        await access(dirname(target), constants.W_OK);
      } catch (error) {
        throw diskError(error, dirname(target));
      }
    }
    await using _lock = await waitForLock(`${target}.lock`, fullName, fetchOptions);
    let stored = await readStored(fullName, target, fetchOptions);
    if (stored === undefined) {
      fetchOptions.log?.info(`Template ${fullName} not in cache, downloading`);
      await removeStaleParts(path);
      stored = await download(template, target, freeBytes, options, fetchOptions);
    }
    if (user !== undefined) await addUser(target, user);
    return stored;
  }

  async function list(): Promise<readonly string[]> {
    try {
      const entries = await readdir(path, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile() && !SIDE_FILE.test(entry.name) && entry.name.includes(':'))
        .map((entry) => relative(path, join(entry.parentPath, entry.name)))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw diskError(error, path);
    }
  }

  async function markUsed(fullName: string, user: TemplateUser, resolveOptions: ResolveOptions = {}): Promise<void> {
    const target = destination(fullName);
    await using _lock = await waitForLock(`${target}.lock`, fullName, resolveOptions);
    await addUser(target, user);
  }

  async function usage(): Promise<readonly StoredUsage[]> {
    const found = await Promise.all((await list()).map(async (fullName) => await readUsage(fullName, destination(fullName))));
    return found.filter((one) => one !== undefined);
  }

  async function evict(fullName: string, resolveOptions: ResolveOptions = {}): Promise<number> {
    const target = destination(fullName);
    await requireStored(fullName, target);
    await using _lock = await takeLock(`${target}.lock`, { signal: resolveOptions.signal, purpose: `eviction of ${fullName}` });
    const size = await evictImage(fullName, target);
    await syncFolder(dirname(target));
    return size;
  }

  async function evictUnused(olderThanMs: number, resolveOptions: ResolveOptions = {}): Promise<readonly StoredUsage[]> {
    const before = Date.now() - olderThanMs;
    const gone: StoredUsage[] = [];
    for (const one of await usage()) {
      if (one.users.length > 0 || one.usedAt > before) continue;
      try {
        await evict(one.fullName, resolveOptions);
        gone.push(one);
      } catch (error) {
        // It was used or evicted since it was listed.
        if (!(error instanceof EngineError) || (error.code !== 'conflict.locked' && error.code !== 'template.missing')) throw error;
        resolveOptions.log?.info(error.message);
      }
    }
    return gone;
  }

  async function verify(fullName: string, verifyOptions: FetchOptions = {}): Promise<readonly HashAlgorithm[]> {
    const target = destination(fullName);
    await requireStored(fullName, target);
    return await verifyImage(fullName, target, verifyOptions);
  }

  async function requireStored(fullName: string, target: string): Promise<void> {
    if ((await list()).includes(fullName)) return;
    throw new EngineError('template.missing', `The template ${fullName} is not in the store ${path}.`, {
      details: { path: target },
      hint: '"lago templates" lists what is.',
    });
  }

  return { path, resolve, find, fetch: fetchTemplate, list, markUsed, usage, evict, evictUnused, verify };
}

async function readStored(fullName: string, path: string, options: ResolveOptions): Promise<StoredTemplate | undefined> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EngineError('host.denied', `The template ${path} is not readable.`, { cause: error });
  }
  const info = await readJson(`${path}.info`, StoredInfo);
  const { format, virtualSize } = info ?? (await examine(path, fullName, options.signal));
  const sha1 = (await readTextFile(`${path}.hash`))?.toLowerCase();
  const metadata = (await readJson(`${path}.metadata`, Metadata)) ?? {};
  return { fullName, path, format, virtualSize, sha1, metadata };
}

/** Determines format and size from the content. */
async function examine(path: string, what: string, signal: AbortSignal | undefined): Promise<{ format: ImageFormat; virtualSize: number }> {
  const format = await formatOf(path);
  const info = await inspectImage(path, { format, signal });
  const outside = info.backingFile ?? info.dataFile;
  if (outside !== undefined) {
    throw new EngineError(
      'remote.invalid',
      `The template ${what} is not complete: its image needs another file, ${JSON.stringify(outside)}.`,
      {
        hint: 'A template must be one image without a backing file.',
      },
    );
  }
  if (info.encrypted) throw new EngineError('remote.invalid', `The template ${what} is encrypted and cannot be used.`);
  return { format, virtualSize: info.virtualSize };
}

async function waitForLock(path: string, fullName: string, options: FetchOptions): Promise<HeldLock> {
  const lockOptions = { signal: options.signal, purpose: `download of ${fullName}` };
  try {
    return await takeLock(path, lockOptions);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'conflict.locked') throw error;
    options.log?.info(`Waiting for another command that works on ${fullName}`);
    options.progress?.(0, 'waiting for another command that downloads it');
    return await takeLock(path, { ...lockOptions, waitMs: 24 * 3600 * 1000 });
  }
}

function sourceOptions(store: StoreOptions, options: ResolveOptions): DownloadOptions {
  return { ...store.download, signal: options.signal, log: options.log };
}

function imageUrls(template: TemplateVersion): readonly string[] {
  return template.served === undefined ? candidates(template.url) : [template.url];
}

async function metadataOf(template: TemplateVersion, source: DownloadOptions): Promise<TemplateMetadata> {
  const own = template.metadata ?? {};
  return template.served === undefined ? { ...own, ...(await readMetadata(template.url, source)) } : own;
}

/** Lago's order: a server is asked for the compressed file first, a folder for the plain one. */
function candidates(url: string, suffix = ''): readonly string[] {
  return url.startsWith('file:') ? [`${url}${suffix}`, `${url}.xz${suffix}`] : [`${url}.xz${suffix}`, `${url}${suffix}`];
}

async function firstOf<T>(
  urls: readonly string[],
  ask: (url: string) => Promise<T | undefined>,
): Promise<{ readonly value: T; readonly url: string } | undefined> {
  for (const url of urls) {
    const value = await ask(url);
    if (value !== undefined) return { value, url };
  }
  return undefined;
}

async function readMetadata(url: string, source: DownloadOptions): Promise<TemplateMetadata> {
  const found = await firstOf(
    candidates(url, '.metadata'),
    async (candidate) => await downloadText(candidate, { ...source, maxBytes: METADATA_LIMIT }),
  );
  if (found === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(found.value);
  } catch (error) {
    throw new EngineError('remote.invalid', `The template metadata ${found.url} is not valid JSON.`, { cause: error });
  }
  const parsed = Metadata.safeParse(value);
  if (!parsed.success)
    throw new EngineError('remote.invalid', `The template metadata ${found.url} is not a JSON object.`, { cause: parsed.error });
  return parsed.data;
}

function distroOf(metadata: TemplateMetadata): string | undefined {
  const distro = metadata['distro'];
  return typeof distro === 'string' ? distro : undefined;
}

function virtualSizeIn(metadata: TemplateMetadata): number | null {
  const size = metadata['virtual-size'];
  return typeof size === 'number' && Number.isSafeInteger(size) && size > 0 ? size : null;
}

/** Only a plain local image tells its size without a download. */
async function localVirtualSize(url: string, options: ResolveOptions): Promise<number | null> {
  if (!url.startsWith('file:')) return null;
  const path = fileURLToPath(url);
  try {
    await access(path, constants.R_OK);
  } catch {
    return null; // missing or compressed: fetch reports the error
  }
  return (await examine(path, path, options.signal)).virtualSize;
}

const BY_LENGTH: Readonly<Record<number, HashAlgorithm>> = { 40: 'sha1', 64: 'sha256', 128: 'sha512' };

async function readChecksums(template: TemplateVersion, source: DownloadOptions): Promise<Checksums> {
  if (template.served !== undefined && Object.keys(template.served).length > 0) return template.checksums;
  const found = await firstOf(
    candidates(template.url, '.hash'),
    async (candidate) => await downloadText(candidate, { ...source, maxBytes: 4096 }),
  );
  const hex = found?.value.trim().split(/\s+/)[0]?.toLowerCase() ?? '';
  const algorithm = BY_LENGTH[hex.length];
  if (found !== undefined && (algorithm === undefined || !/^[0-9a-f]+$/.test(hex))) {
    throw new EngineError('remote.invalid', `${found.url} holds no checksum.`);
  }
  const checksums = { ...template.checksums, ...(algorithm === undefined ? {} : { [algorithm]: hex }) };
  if (Object.keys(checksums).length > 0) return checksums;
  throw new EngineError(
    'remote.invalid',
    `The template ${template.fullName} has no checksum (${template.url}.hash), so it cannot be trusted.`,
    {
      hint: 'Put the SHA-1 of the uncompressed image there.',
    },
  );
}

async function openImage(
  template: TemplateVersion,
  source: DownloadOptions,
): Promise<{ readonly download: Download; readonly url: string }> {
  const found = await firstOf(imageUrls(template), async (candidate) => await openDownload(candidate, source));
  if (found !== undefined) return { download: found.value, url: found.url };
  throw new EngineError(
    'remote.invalid',
    `The template ${template.fullName} is not where its repository says: there is no ${template.url}.`,
    {
      hint: 'Tell the repository’s maintainer.',
    },
  );
}

async function download(
  template: TemplateVersion,
  target: string,
  freeBytes: (folder: string) => Promise<number>,
  storeOptions: StoreOptions,
  options: FetchOptions,
): Promise<StoredTemplate> {
  const { fullName } = template;
  const source = sourceOptions(storeOptions, options);
  const expected = await readChecksums(template, source);
  const metadata = await metadataOf(template, source);
  const { download: image, url } = await openImage(template, {
    ...source,
    gate: options.gate,
    keep: `${target}.part`,
    checked: true,
    onProgress: (progress) =>
      options.progress?.(progress.total === null ? 0 : (progress.received / progress.total) * 0.97, describeProgress(progress)),
  });
  const folder = dirname(target);
  const requireSpace = async (bytes: number): Promise<void> => {
    const free = await freeBytes(folder);
    if (free - RESERVE >= bytes) return;
    throw new EngineError(
      'host.no-space',
      `The template ${fullName} does not fit into ${folder}: ${mebi(bytes)} MiB more are needed, ${mebi(free)} MiB are free.`,
      {
        details: { needed: bytes, free },
        hint: 'Free space there, or choose another template store.',
      },
    );
  };
  // We hold the lock, so an existing temporary file was left by a dead process.
  const temporary = `${target}.tmp`;
  try {
    if (image.kept > 0) options.log?.info(`Going on with ${fullName} where it was broken off, at ${mebi(image.kept)} MiB`);
    // A kept download needs room beside the image itself; without it an interrupted download starts over.
    else if ((await freeBytes(folder)) - RESERVE < 2 * (image.total ?? 0)) await image.forget();
    await requireSpace(image.total ?? 0);
    const algorithms = [...new Set<HashAlgorithm>(['sha1', ...(Object.keys(expected) as HashAlgorithm[])])];
    const served = Object.keys(template.served ?? {}).map((name) => ({ algorithm: name as HashAlgorithm, hash: createHash(name) }));
    const { content } = await decompress(hashing(image.content, served), url, options.signal);
    let unchecked = 0;
    const written = await writeSparse(temporary, content, algorithms, async (bytes) => {
      options.signal?.throwIfAborted();
      unchecked += bytes;
      if (unchecked < CHECK_EVERY) return;
      unchecked = 0;
      await requireSpace(bytes);
    });
    requireEqual(expected, written.checksums, { fullName, url, bytes: written.size });
    const received = Object.fromEntries(served.map(({ algorithm, hash }) => [algorithm, hash.digest('hex')]));
    requireEqual(template.served ?? {}, received, { fullName, url, bytes: written.size });
    options.progress?.(0.98, 'checking the image');
    const { format, virtualSize } = await examine(temporary, fullName, options.signal);
    const sha1 = written.checksums.sha1 ?? '';
    await writeJson(`${target}.metadata`, metadata, 0o644);
    await writeFileAtomic(`${target}.hash`, sha1);
    await writeJson(`${target}.info`, { version: 1, format, virtualSize, checksums: written.checksums, from: url, fetchedAt: Date.now() });
    try {
      await rename(temporary, target);
      await syncFolder(folder);
    } catch (error) {
      throw diskError(error, target);
    }
    await image.forget();
    options.progress?.(1, 'done');
    return { fullName, path: target, format, virtualSize, sha1, metadata };
  } catch (error) {
    await rm(temporary, { force: true });
    // Only an interrupted download is worth resuming: after other failures its bytes are wrong, or in the way.
    if (!isBrokenOff(error, options.signal)) await image.forget();
    if (options.signal?.aborted === true && !(error instanceof EngineError)) {
      throw new EngineError('cancelled', `The download of ${fullName} was cancelled.`, { cause: error });
    }
    throw error;
  }
}

async function* hashing(content: AsyncIterable<Buffer>, hashes: readonly { readonly hash: Hash }[]): AsyncGenerator<Buffer> {
  for await (const chunk of content) {
    for (const { hash } of hashes) hash.update(chunk);
    yield chunk;
  }
}

function requireEqual(
  expected: Checksums,
  actual: Checksums,
  about: { readonly fullName: string; readonly url: string; readonly bytes: number },
): void {
  for (const [algorithm, wanted] of Object.entries(expected) as [HashAlgorithm, string][]) {
    const got = actual[algorithm];
    if (got === wanted) continue;
    throw new EngineError(
      'remote.hash-mismatch',
      `Image ${about.fullName} does not match the expected hash ${wanted}: its ${algorithm} is ${got ?? 'unknown'}.`,
      {
        details: { from: about.url, expected: wanted, actual: got ?? '', bytes: about.bytes },
        hint: 'It was damaged in transit or changed at its source. Try again; if the problem persists, tell the repository’s maintainer.',
      },
    );
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function fileSystemFree(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function mebi(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
