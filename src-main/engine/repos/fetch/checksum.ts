import { createHash, getHashes, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { diskError } from '../../core/files/disk-error.ts';

/** The digest that a file must have. */
export interface Checksum {
  /** As node names it. */
  readonly algorithm: string;
  readonly hex: string;
}

const CHUNK = 1024 * 1024;
const KNOWN = new Set(getHashes());

/** A checksum as repositories write it (`sha` is SHA-1); undefined for an algorithm that is not known or weaker than MD5, or for no digits. */
export function checksumOf(type: string, digits: string): Checksum | undefined {
  const lower = type.toLowerCase();
  const algorithm = lower === 'sha' ? 'sha1' : lower;
  const hex = digits.trim().toLowerCase();
  return KNOWN.has(algorithm) && /^[0-9a-f]{32,128}$/.test(hex) ? { algorithm, hex } : undefined;
}

/** Feeds a file on disk to a hash. */
export async function hashFile(path: string, algorithm: string, signal?: AbortSignal): Promise<Hash> {
  const hash = createHash(algorithm);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK, ...(signal === undefined ? {} : { signal }) })) {
      hash.update(chunk as Buffer);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw diskError(error, path);
  }
  return hash;
}

/** Whether a file on disk has the content that it must have. */
export async function hasChecksum(path: string, checksum: Checksum, signal?: AbortSignal): Promise<boolean> {
  return (await hashFile(path, checksum.algorithm, signal)).digest('hex') === checksum.hex;
}
