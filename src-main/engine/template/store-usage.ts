import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError, readJson, writeJson } from '../core/files/json-file.ts';
import { readTextFile } from '../core/files/text-file.ts';
import { livingUsers } from '../core/living-users.ts';
import type { PauseGate } from '../core/pause.ts';
import type { HashAlgorithm } from '../disk/checksums.ts';
import type { ImageFormat } from '../disk/qemu-img.ts';

/** A prefix that uses a template, as Lago records it: its `uuid` file and that file's content. */
export interface TemplateUser {
  readonly uuidFile: string;
  readonly uuid: string;
}

/** An image in the store with its users. */
export interface StoredUsage {
  readonly fullName: string;
  readonly path: string;
  /** Bytes on disk. */
  readonly size: number;
  /** Bytes that a guest sees; null for a qcow2 that another program put there. */
  readonly virtualSize: number | null;
  readonly format: ImageFormat;
  /** Folders of the existing prefixes that use it. */
  readonly users: readonly string[];
  /** ms since the epoch: last used by a prefix, else fetched. */
  readonly usedAt: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Our own file beside an image. */
export const StoredInfo = z.looseObject({
  version: z.literal(1),
  format: z.enum(['qcow2', 'raw']),
  virtualSize: z.number(),
  checksums: z.record(z.string(), z.string()).default({}),
  fetchedAt: z.number().optional(),
});
const Users = z.looseObject({ users: z.record(z.string(), z.string()).default({}), last_access: z.number().default(0) });
const Metadata = z.record(z.string(), z.unknown());
const QCOW2_MAGIC = Buffer.from('QFI\xfb', 'latin1');
const CHUNK = 1024 * 1024;
/** Files beside an image; the lock file is kept, since others may be waiting on it. */
const BESIDE = ['.users', '.info', '.hash', '.metadata'];

/** The living users of an image, and the rest of what is recorded of them. */
async function usersOf(
  target: string,
): Promise<{ readonly users: Record<string, string>; readonly lastAccess: number; readonly rest: object }> {
  const known = (await readJson(`${target}.users`, Users)) ?? { users: {}, last_access: 0 };
  return { users: await livingUsers(known.users), lastAccess: known.last_access, rest: known };
}

/** Records a user. The caller holds the template's lock. */
export async function addUser(target: string, user: TemplateUser): Promise<void> {
  const { users, rest } = await usersOf(target);
  await writeJson(`${target}.users`, { ...rest, users: { ...users, [user.uuidFile]: user.uuid }, last_access: Date.now() / 1000 }, 0o664);
}

/** What is known of a stored image; undefined when it has gone meanwhile. */
export async function readUsage(fullName: string, target: string): Promise<StoredUsage | undefined> {
  try {
    const { size, blocks, mtimeMs } = await stat(target);
    const info = await readJson(`${target}.info`, StoredInfo);
    const format = info?.format ?? (await formatOf(target));
    const { users, lastAccess } = await usersOf(target);
    return {
      fullName,
      path: target,
      size: blocks * 512,
      virtualSize: info?.virtualSize ?? (format === 'raw' ? size : null),
      format,
      users: Object.keys(users).map((file) => dirname(file)),
      usedAt: Math.max(lastAccess * 1000, info?.fetchedAt ?? mtimeMs),
      metadata: (await readJson(`${target}.metadata`, Metadata)) ?? {},
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** By magic number: anything but qcow2 is raw. */
export async function formatOf(path: string): Promise<ImageFormat> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.equals(QCOW2_MAGIC) ? 'qcow2' : 'raw';
  } finally {
    await file.close();
  }
}

/** Removes an unused image; the caller holds its lock. Returns the number of bytes freed. */
export async function evictImage(fullName: string, target: string): Promise<number> {
  const usage = await readUsage(fullName, target);
  if (usage === undefined) throw new EngineError('template.missing', `The template ${fullName} is not in the store any more.`);
  if (usage.users.length > 0) {
    throw new EngineError('conflict.locked', `The template ${fullName} is used by ${usage.users.join(', ')}.`, {
      details: { users: usage.users.length },
      hint: 'Destroy these environments first; their disks need it.',
    });
  }
  try {
    await rm(target);
    for (const suffix of BESIDE) await rm(`${target}${suffix}`, { force: true });
  } catch (error) {
    throw diskError(error, target);
  }
  return usage.size;
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((fraction: number, detail?: string) => void) | undefined;
  readonly gate?: PauseGate | undefined;
}

/** Reads the image and compares every recorded checksum; see `TemplateStore.verify`. */
export async function verifyImage(fullName: string, target: string, options: VerifyOptions = {}): Promise<readonly HashAlgorithm[]> {
  const info = await readJson(`${target}.info`, StoredInfo);
  const sha1 = (await readTextFile(`${target}.hash`))?.toLowerCase();
  const kept = new Map(Object.entries({ ...info?.checksums, ...(sha1 === undefined || sha1 === '' ? {} : { sha1 }) }));
  if (kept.size === 0) {
    throw new EngineError('not-available', `No checksum of the template ${fullName} was kept, so it cannot be verified.`, {
      hint: 'Evict it and fetch it again.',
    });
  }
  const { size } = await stat(target);
  const hashes = [...kept.keys()].map((algorithm) => ({ algorithm, hash: createHash(algorithm) }));
  let read = 0;
  for await (const chunk of createReadStream(target, { highWaterMark: CHUNK, signal: options.signal }) as AsyncIterable<Buffer>) {
    await options.gate?.passed(options.signal);
    for (const { hash } of hashes) hash.update(chunk);
    read += chunk.length;
    options.progress?.(read / size, `${Math.round(read / CHUNK)} MiB of ${Math.round(size / CHUNK)} MiB`);
  }
  for (const { algorithm, hash } of hashes) {
    const expected = kept.get(algorithm) ?? '';
    const actual = hash.digest('hex');
    if (actual === expected) continue;
    throw new EngineError('remote.hash-mismatch', `The template ${fullName} is damaged: its ${algorithm} is ${actual}, not ${expected}.`, {
      details: { path: target, expected, actual },
      hint: 'Environments that use it may be damaged too. Evict it and fetch it again.',
    });
  }
  return [...kept.keys()] as HashAlgorithm[];
}
