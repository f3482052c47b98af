import { EngineError } from '../../../../src-shared/errors.ts';
import { type Codec, unreadable, XdrReader, type XdrWriter } from './xdr.ts';

/**
 * libvirt's framing: a length word that counts itself, six header words, then the payload. Types and statuses are those of
 * virNetMessageType and virNetMessageStatus.
 */

export const TYPE_CALL = 0;
export const TYPE_REPLY = 1;
export const TYPE_MESSAGE = 2;
export const TYPE_STREAM = 3;

export const STATUS_OK = 0;
export const STATUS_ERROR = 1;
export const STATUS_CONTINUE = 2;

const LENGTH_SIZE = 4;
const HEADER_SIZE = 24;
const SMALLEST = LENGTH_SIZE + HEADER_SIZE;
/** VIR_NET_MESSAGE_MAX plus the length word. */
const LARGEST = 32 * 1024 * 1024 + LENGTH_SIZE;

/** Most stream data in one packet that every libvirt accepts (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX is a little more). */
export const STREAM_PAYLOAD = 256 * 1024 - 1024;

export interface FrameHeader {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
}

/** Appends one frame to `writer`; when the value cannot be encoded, the writer is left as it was. */
export function writeFrame<T>(writer: XdrWriter, header: FrameHeader, codec: Codec<T>, value: T): void {
  const start = writer.size;
  try {
    writer.int(0);
    writer.int(header.program);
    writer.int(header.version);
    writer.int(header.procedure);
    writer.int(header.type);
    writer.int(header.serial);
    writer.int(header.status);
    codec.encode(writer, value);
    const length = writer.size - start;
    if (length > LARGEST) {
      throw new EngineError('hypervisor.failed', `A message of ${length} bytes is too long for libvirt, which takes ${LARGEST}.`);
    }
    writer.patch(start, length);
  } catch (error) {
    writer.truncate(start);
    throw error;
  }
}

/** Unpadded bytes up to the end of the frame: stream packets. */
export const rawBytes: Codec<Uint8Array> = { encode: (w, v) => w.raw(v), decode: (r) => r.rest() };

/**
 * Splits a byte stream into frames. Buffers only bytes that have arrived: a large announced length costs nothing. Throws
 * `hypervisor.failed` on an impossible length, after which the byte stream is unusable.
 */
export class FrameReader {
  #held: Buffer[] = [];
  #size = 0;
  #needed = LENGTH_SIZE;

  /** Bytes of an unfinished frame. */
  get pending(): number {
    return this.#size;
  }

  /** Takes the first `size` bytes of `chunk`. The caller may reuse `chunk` afterwards, so `onFrame` must not keep its payload. */
  push(chunk: Buffer, size: number, onFrame: (header: FrameHeader, payload: XdrReader) => void): void {
    let data = chunk;
    let end = size;
    if (this.#size > 0) {
      this.#held.push(Buffer.from(chunk.subarray(0, size)));
      this.#size += size;
      if (this.#size < this.#needed) return;
      data = Buffer.concat(this.#held, this.#size);
      end = this.#size;
      this.#held = [];
      this.#size = 0;
    }
    let at = 0;
    this.#needed = LENGTH_SIZE;
    while (end - at >= LENGTH_SIZE) {
      const length = data.readUInt32BE(at);
      if (length < SMALLEST || length > LARGEST) throw unreadable(`a length of ${length} bytes`);
      if (end - at < length) {
        this.#needed = length;
        break;
      }
      onFrame(
        {
          program: data.readUInt32BE(at + 4),
          version: data.readUInt32BE(at + 8),
          procedure: data.readInt32BE(at + 12),
          type: data.readUInt32BE(at + 16),
          serial: data.readUInt32BE(at + 20),
          status: data.readUInt32BE(at + 24),
        },
        new XdrReader(data, at + SMALLEST, at + length),
      );
      at += length;
    }
    if (at < end) {
      this.#held = [Buffer.from(data.subarray(at, end))];
      this.#size = end - at;
    }
  }
}
