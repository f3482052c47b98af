import { EngineError } from '../../../../src-shared/errors.ts';

/**
 * XDR (RFC 4506) as libvirt uses it: big-endian, everything padded to four bytes, strings in UTF-8. Every read is checked against the end
 * of its frame, and every list against its declared limit before anything is allocated: a hostile or broken peer can make a decoder throw,
 * but not use up memory or hang.
 */

/** Longest string that libvirt sends or accepts, bytes. */
const STRING_MAX = 4 * 1024 * 1024;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The error for bytes that do not decode: `hypervisor.failed`. */
export function unreadable(why: string): EngineError {
  return new EngineError('hypervisor.failed', `libvirt sent a message that cannot be read: ${why}.`, {
    hint: 'Check that the socket belongs to a libvirt daemon, version 7.0 or newer.',
  });
}

/**
 * Below this, texts are written and buffers copied byte by byte: calls out of JavaScript, as Buffer's methods make, cost more. Numbers are
 * assembled by hand for the same reason. This halves what the client adds to a call.
 */
const SHORT = 64;
const TINY = 12;

/** A growing write buffer; one serves all messages of a connection. */
export class XdrWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Drops what was written after `size`. */
  truncate(size: number): void {
    this.#size = size;
  }

  /** A copy of everything written. Empties the writer, and shrinks it after a very large message. */
  take(): Buffer {
    const from = this.#buffer;
    const size = this.#size;
    const bytes = Buffer.allocUnsafe(size);
    if (size > 2 * SHORT) from.copy(bytes, 0, 0, size);
    else for (let i = 0; i < size; i++) bytes[i] = from[i] as number;
    this.#size = 0;
    if (from.length > 1024 * 1024) this.#buffer = Buffer.allocUnsafe(4096);
    return bytes;
  }

  #reserve(count: number): number {
    const at = this.#size;
    if (at + count > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, at + count));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#size = at + count;
    return at;
  }

  /** 32 bits; negative numbers as C's int. */
  int(value: number): void {
    this.patch(this.#reserve(4), value);
  }

  /** Overwrites four bytes written before. */
  patch(at: number, value: number): void {
    const bytes = this.#buffer;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }

  hyper(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeBigInt64BE(BigInt(value), at);
  }

  double(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** Bytes of a length known to both sides, padded. */
  opaque(value: Uint8Array): void {
    const padding = -value.length & 3;
    const at = this.#reserve(value.length + padding);
    this.#buffer.set(value, at);
    this.#buffer.fill(0, at + value.length, at + value.length + padding);
  }

  /** Bytes without padding: the payload of a stream packet. */
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
  }

  /** Throws `hypervisor.failed` for a text that is too long or contains a zero character, which would end it on the other side. */
  string(value: string): void {
    if (value.length > SHORT || !this.#shortString(value)) this.#anyString(value);
  }

  /** Writes nothing and returns false unless the text is plain ASCII. */
  #shortString(value: string): boolean {
    const length = value.length;
    const start = this.#size;
    const at = this.#reserve(4 + length + (-length & 3)) + 4;
    const bytes = this.#buffer;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127 || code === 0) {
        this.#size = start;
        return false;
      }
      bytes[at + i] = code;
    }
    for (let i = at + length; i < this.#size; i++) bytes[i] = 0;
    this.patch(start, length);
    return true;
  }

  #anyString(value: string): void {
    const length = Buffer.byteLength(value, 'utf8');
    if (length > STRING_MAX) {
      throw new EngineError('hypervisor.failed', `A text of ${length} bytes is too long for libvirt, which takes ${STRING_MAX}.`);
    }
    if (value.includes('\0')) throw new EngineError('hypervisor.failed', 'A text with a zero character cannot be sent to libvirt.');
    const padding = -length & 3;
    const at = this.#reserve(4 + length + padding);
    this.patch(at, length);
    this.#buffer.write(value, at + 4, length, 'utf8');
    this.#buffer.fill(0, at + 4 + length, at + 4 + length + padding);
  }
}

/** Reads values out of one frame, from `start` to `end` of `buffer`. Copies what it returns. */
export class XdrReader {
  readonly #buffer: Buffer;
  #at: number;
  readonly #end: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw unreadable(`${count} bytes expected, ${this.#end - at} left`);
    this.#at = at + count;
    return at;
  }

  int(): number {
    const at = this.#take(4);
    const bytes = this.#buffer;
    // #take has checked that there are four bytes.
    return ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  }

  uint(): number {
    return this.int() >>> 0;
  }

  /** A 64-bit number; refused when a double cannot hold it exactly. */
  hyper(): number {
    const value = Number(this.#buffer.readBigInt64BE(this.#take(8)));
    if (!Number.isSafeInteger(value)) throw unreadable(`number ${value} out of range`);
    return value;
  }

  /** A 64-bit number without sign, rounded to what a double can hold. */
  counter(): number {
    return Number(this.#buffer.readBigUInt64BE(this.#take(8)));
  }

  double(): number {
    return this.#buffer.readDoubleBE(this.#take(8));
  }

  /** Sixteen bytes as text with dashes. */
  uuid(): string {
    const at = this.#take(16);
    return `${this.#hex(at)}${this.#hex(at + 2)}-${this.#hex(at + 4)}-${this.#hex(at + 6)}-${this.#hex(at + 8)}-${this.#hex(at + 10)}${this.#hex(at + 12)}${this.#hex(at + 14)}`;
  }

  /** Two bytes. */
  #hex(at: number): string {
    return `${HEX[this.#buffer[at] as number]}${HEX[this.#buffer[at + 1] as number]}`;
  }

  /** Everything up to the end of the frame. */
  rest(): Buffer {
    const length = this.remaining;
    const at = this.#take(length);
    return Buffer.from(this.#buffer.subarray(at, at + length));
  }

  string(): string {
    const length = this.uint();
    if (length > STRING_MAX) throw unreadable(`a text of ${length} bytes`);
    const at = this.#take(length + (-length & 3));
    return (length <= TINY ? this.#ascii(at, at + length) : undefined) ?? this.#buffer.toString('utf8', at, at + length);
  }

  /** undefined unless it is plain ASCII. */
  #ascii(start: number, end: number): string | undefined {
    let text = '';
    for (let at = start; at < end; at++) {
      const byte = this.#buffer[at] as number;
      if (byte > 127) return undefined;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** Throws unless everything was read: both sides must agree on where a message ends. */
  finish(): void {
    if (this.remaining !== 0) throw unreadable(`${this.remaining} bytes too many`);
  }
}

/** Wire format of values of type T. Method syntax keeps codecs of any type assignable to `Codec<unknown>`. */
export interface Codec<T> {
  encode(writer: XdrWriter, value: T): void;
  decode(reader: XdrReader): T;
}

/** The type of the values that a codec carries. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never;

/** 32 bits, signed. Also C enums. */
export const int: Codec<number> = { encode: (w, v) => w.int(v), decode: (r) => r.int() };

/** 32 bits, unsigned. */
export const uint: Codec<number> = { encode: (w, v) => w.int(v), decode: (r) => r.uint() };

/** 64 bits, within the range that a double holds exactly. */
export const hyper: Codec<number> = { encode: (w, v) => w.hyper(v), decode: (r) => r.hyper() };

/** 64 bits without sign, for amounts and times that may be rounded: nanoseconds of CPU time pass 2^53 after 104 days. */
export const counter: Codec<number> = { encode: (w, v) => w.hyper(v), decode: (r) => r.counter() };

/** An IEEE double. */
export const double: Codec<number> = { encode: (w, v) => w.double(v), decode: (r) => r.double() };

/** UTF-8, never null. */
export const string: Codec<string> = { encode: (w, v) => w.string(v), decode: (r) => r.string() };

/** Nothing: for procedures without arguments or without a result. */
export const nothing: Codec<undefined> = { encode: () => undefined, decode: () => undefined };

/** Sixteen bytes on the wire, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in memory. */
export const uuid: Codec<string> = {
  encode(w, v) {
    const bytes = Buffer.from(v.replaceAll('-', ''), 'hex');
    if (bytes.length !== 16) throw new EngineError('hypervisor.failed', `"${v}" is not a uuid.`);
    w.opaque(bytes);
  },
  decode: (r) => r.uuid(),
};

/** A pointer that may be null: a flag word, then the value. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    encode(w, v) {
      w.int(v === undefined ? 0 : 1);
      if (v !== undefined) inner.encode(w, v);
    },
    decode(r) {
      const flag = r.uint();
      if (flag > 1) throw unreadable(`${flag} where 0 or 1 must be`);
      return flag === 0 ? undefined : inner.decode(r);
    },
  };
}

/** A counted list of at most `max` items; each takes at least four bytes, so a false count cannot cause a large allocation. */
export function list<T>(inner: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    encode(w, v) {
      if (v.length > max)
        throw new EngineError('hypervisor.failed', `A list of ${v.length} items is too long for libvirt, which takes ${max}.`);
      w.int(v.length);
      for (const item of v) inner.encode(w, item);
    },
    decode(r) {
      const count = r.uint();
      if (count > max || count * 4 > r.remaining) throw unreadable(`a list of ${count} items`);
      const items: T[] = [];
      for (let i = 0; i < count; i++) items.push(inner.decode(r));
      return items;
    },
  };
}

/** Fields in sequence, in the order given. */
export function struct<F extends Readonly<Record<string, Codec<unknown>>>>(fields: F): Codec<{ readonly [K in keyof F]: ValueOf<F[K]> }> {
  type Value = { readonly [K in keyof F]: ValueOf<F[K]> };
  const entries = Object.entries(fields).map(([key, codec]) => ({ key, codec }));
  return {
    encode(w, v) {
      for (const entry of entries) entry.codec.encode(w, v[entry.key]);
    },
    decode(r) {
      const value: Record<string, unknown> = {};
      for (const entry of entries) value[entry.key] = entry.codec.decode(r);
      return value as Value;
    },
  };
}
