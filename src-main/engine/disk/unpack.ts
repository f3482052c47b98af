import { createReadStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { decompress } from '../core/decompress.ts';
import { diskError } from '../core/files/json-file.ts';
import { readTextFile } from '../core/files/text-file.ts';
import { imageKind } from './foreign-image.ts';
import { requireSpace, spaceWatch } from './free-space.ts';
import type { ReceiveOptions } from './receive-image.ts';
import { writeSparse } from './sparse-file.ts';

/** What the head of a compressed image tells. */
export interface PackedImage {
  readonly format: 'qcow2' | 'raw';
  /** Bytes that a guest sees; undefined if only the whole image tells. */
  readonly virtualSize: number | undefined;
  /** As recorded in the image. */
  readonly backing: string | undefined;
}

/** QEMU writes the name of the backing file into the first cluster, right after the header. */
const HEAD = 64 * 1024;
const QCOW2 = Buffer.from('QFI\xfb', 'latin1');

function content(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>;
}

/** Reads as much of a compressed image as planning needs. Rejects like `decompress`. */
export async function peekPacked(path: string, signal?: AbortSignal): Promise<PackedImage> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of (await decompress(content(path), path, signal)).content) {
    parts.push(chunk);
    size += chunk.length;
    if (size >= HEAD) break;
  }
  const head = Buffer.concat(parts);
  if (head.length < 72 || !head.subarray(0, 4).equals(QCOW2)) return { format: 'raw', virtualSize: undefined, backing: undefined };
  const offset = Number(head.readBigUInt64BE(8));
  const length = head.readUInt32BE(16);
  const backing = offset === 0 ? undefined : head.subarray(offset, offset + Math.min(length, 1023)).toString('utf8');
  return { format: 'qcow2', virtualSize: Number(head.readBigUInt64BE(24)), backing };
}

/**
 * Unpacks an image compressed by an export: in one pass, sparse, with its SHA-1 compared to `hashFile` if that exists, and on disk before
 * the rename to `to`. Leaves nothing when it rejects: with `remote.hash-mismatch`, `remote.invalid` (damaged), `input.invalid` (another
 * format), `host.no-space`, `cancelled`.
 */
export async function unpackImage(
  request: { readonly packed: string; readonly hashFile: string; readonly to: string; readonly format: string },
  options: ReceiveOptions,
): Promise<void> {
  const { packed, to, format } = request;
  const { signal } = options;
  const what = `The image ${packed}`;
  const folder = dirname(to);
  const total = await stat(packed).then(
    ({ size }) => size,
    (error: unknown) => {
      throw diskError(error, packed);
    },
  );
  await requireSpace(folder, total, what, options);
  const temporary = `${to}.part`;
  let read = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of content(packed)) {
      read += chunk.length;
      options.progress?.(total === 0 ? 0 : (read / total) * 0.97, `unpacking ${basename(packed)}`);
      yield chunk;
    }
  }
  try {
    const { content: unpacked } = await decompress(counted(), packed, signal);
    const { checksums } = await writeSparse(temporary, unpacked, ['sha1'], spaceWatch(folder, what, signal, options));
    const expected = (await readTextFile(request.hashFile))?.toLowerCase();
    if (expected !== undefined && expected !== checksums.sha1) {
      throw new EngineError(
        'remote.hash-mismatch',
        `${what} does not match ${request.hashFile}: its SHA-1 is ${checksums.sha1 ?? 'unknown'}.`,
        {
          details: { expected, actual: checksums.sha1 ?? '' },
          hint: 'It was damaged in transit. Copy it again.',
        },
      );
    }
    const kind = await imageKind(temporary);
    const fits = format === 'raw' || kind === format;
    if (!fits)
      throw new EngineError('input.invalid', `${what} holds a ${kind} image, but ${format} was requested.`, {
        hint: `Write "format: ${kind}" for this disk.`,
      });
    await rename(temporary, to).catch((error: unknown) => {
      throw diskError(error, to);
    });
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
