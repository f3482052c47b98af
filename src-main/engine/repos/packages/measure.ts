import { createHash, type Hash } from 'node:crypto';
import { Transform } from 'node:stream';

/** A stream that takes the size and the SHA-256 digest of what passes. */
export function measure(): { readonly tap: Transform; readonly hash: Hash; size(): number } {
  const hash = createHash('sha256');
  let size = 0;
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      hash.update(chunk);
      size += chunk.length;
      callback(null, chunk);
    },
  });
  return { tap, hash, size: () => size };
}
