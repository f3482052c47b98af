import type { EngineError } from '../../../../src-shared/errors.ts';

/** The error for an archive that cannot be read; `why` follows "cannot be unpacked:". */
export type Refuse = (why: string) => EngineError;

/** Consecutive bytes of a sparse file. */
export interface SparsePart {
  readonly at: number;
  readonly length: number;
}

/** One member of an archive as it is written there: nothing of it is checked. */
export interface TarMember {
  readonly name: string;
  /** The type byte of its header: `0` or NUL a file, `1` a hard link, `2` a symbolic link, `5` a folder, `S` a sparse file of GNU tar. */
  readonly type: string;
  /** Bytes of content in the archive. */
  readonly size: number;
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Where a link points. */
  readonly target: string;
  /** Of a sparse file: its full size, and where its content belongs. */
  readonly sparse: { readonly size: number; readonly parts: readonly SparsePart[] } | undefined;
  /** The bytes, in order. Unread ones are skipped when the next member is requested. */
  readonly content: AsyncIterable<Buffer>;
}

const BLOCK = 512;
const MAX_NOTE = 64 * 1024;
/** Padding after the end of the archive: writers fill up their last record. */
const MAX_PADDING = 64 * 1024 * 1024;
/** Parts of one sparse file. */
const MAX_PARTS = 1_000_000;

/**
 * Reads a tar archive (v7, ustar, pax, GNU long names and sparse files) as a stream, in constant memory. Throws `refuse` for a damaged or
 * truncated one and for more than `maxMembers` members, and the input's errors. Names, types and sizes are the caller's to judge.
 */
export async function* readMembers(input: AsyncIterable<Buffer>, maxMembers: number, refuse: Refuse): AsyncGenerator<TarMember> {
  const source = new Source(input, refuse);
  let longName: string | undefined;
  let longTarget: string | undefined;
  let note: Note = {};
  let entries = 0;
  try {
    for (;;) {
      const block = await source.block(entries === 0);
      if (block === undefined || block.every((byte) => byte === 0)) break;
      const header = readHeader(block, refuse);
      entries += 1;
      if (entries > maxMembers) throw refuse(`it has more than ${maxMembers} members`);
      if (header.type === 'L' || header.type === 'K' || header.type === 'x' || header.type === 'g') {
        if (header.size > MAX_NOTE) throw refuse('it has a member with an impossibly long name');
        const data = await source.exactly(header.size);
        await source.skip(padding(header.size));
        if (header.type === 'L') longName = text(data);
        else if (header.type === 'K') longTarget = text(data);
        else if (header.type === 'x') note = readNote(data, refuse);
        else readNote(data, refuse);
        continue;
      }
      const size = note.size ?? header.size;
      const given = {
        name: note.path ?? longName ?? header.name,
        target: note.target ?? longTarget ?? header.target,
        mtime: note.mtime ?? header.mtime,
      };
      longName = undefined;
      longTarget = undefined;
      note = {};
      const sparse = header.type === 'S' ? await readSparse(source, block, refuse) : undefined;
      const { type, mode } = header;
      const length = type === '5' || (type !== '7' && given.name.endsWith('/')) ? 0 : size;
      const body = new Body(source, length);
      yield { ...given, type, mode, size: length, sparse, content: body };
      await body.skip();
      await source.skip(padding(length));
    }
    await source.finish();
  } finally {
    await source.close();
  }
}

/** The map of a sparse file in GNU tar's old format: four parts in the header, more in the blocks after it. */
async function readSparse(source: Source, header: Buffer, refuse: Refuse): Promise<TarMember['sparse']> {
  const parts: SparsePart[] = [];
  const take = (block: Buffer, from: number, count: number): void => {
    for (let at = from; at < from + count * 24 && block[at] !== 0; at += 24) {
      parts.push({ at: number(block.subarray(at, at + 12), refuse), length: number(block.subarray(at + 12, at + 24), refuse) });
    }
  };
  take(header, 386, 4);
  for (let more = header[482] !== 0; more; ) {
    const block = await source.exactly(BLOCK);
    take(block, 0, 21);
    more = block[504] !== 0;
    if (parts.length > MAX_PARTS) throw refuse('it has a sparse member of too many parts');
  }
  return { size: number(header.subarray(483, 495), refuse), parts };
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

interface Header {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: number;
  readonly target: string;
}

function readHeader(block: Buffer, refuse: Refuse): Header {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  if (sum !== number(block.subarray(148, 156), refuse)) throw refuse('it is no tar archive, or damaged');
  const name = text(block.subarray(0, 100));
  const posix = block.subarray(257, 263).toString('latin1') === 'ustar\0';
  const prefix = posix ? text(block.subarray(345, 500)) : '';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: String.fromCharCode(block[156] ?? 0),
    size: number(block.subarray(124, 136), refuse),
    mode: number(block.subarray(100, 108), refuse),
    mtime: number(block.subarray(136, 148), refuse),
    target: text(block.subarray(157, 257)),
  };
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end).toString('utf8');
}

/** Octal digits, or GNU's binary form for larger numbers. */
function number(field: Buffer, refuse: Refuse): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return value;
  }
  const digits = /^[\s\0]*([0-7]*)[\s\0]*$/.exec(field.toString('latin1'))?.[1];
  if (digits === undefined) throw refuse('it is no tar archive, or damaged');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

interface Note {
  readonly path?: string;
  readonly target?: string;
  readonly size?: number;
  readonly mtime?: number;
}

/** Parses pax records, `LENGTH KEY=VALUE\n`, for the keys of `Note` only. */
function readNote(data: Buffer, refuse: Refuse): Note {
  let note: Note = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(32, at);
    const length = Number(data.subarray(at, Math.max(at, space)).toString('latin1'));
    const equals = data.indexOf(61, space);
    const end = at + length;
    if (space < 0 || !Number.isInteger(length) || length < 5 || end > data.length || equals < 0 || equals >= end)
      throw refuse('it is damaged');
    const key = data.subarray(space + 1, equals).toString('latin1');
    const value = data.subarray(equals + 1, end - 1).toString('utf8');
    if (key === 'path') note = { ...note, path: value };
    else if (key === 'linkpath') note = { ...note, target: value };
    else if (key === 'mtime') note = { ...note, mtime: Math.floor(Number(value)) };
    else if (key === 'size') {
      if (!/^\d{1,20}$/.test(value)) throw refuse('it is damaged');
      note = { ...note, size: Number(value) };
    } else if (key.startsWith('GNU.sparse')) throw refuse('it has a sparse member of GNU tar');
    at = end;
  }
  return note;
}

/** The content of one entry; can be read once. */
class Body implements AsyncIterable<Buffer> {
  readonly #source: Source;
  #left: number;

  constructor(source: Source, size: number) {
    this.#source = source;
    this.#left = size;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const chunk = await this.#source.some(this.#left);
      this.#left -= chunk.length;
      yield chunk;
    }
  }

  async skip(): Promise<void> {
    await this.#source.skip(this.#left);
    this.#left = 0;
  }
}

/** The archive's bytes, taken piece by piece. */
class Source {
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #refuse: Refuse;
  #rest: Buffer = Buffer.alloc(0);

  constructor(input: AsyncIterable<Buffer>, refuse: Refuse) {
    this.#iterator = input[Symbol.asyncIterator]();
    this.#refuse = refuse;
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return false;
      this.#rest = next.value;
    }
    return true;
  }

  /** Up to `limit` bytes, at least one. */
  async some(limit: number): Promise<Buffer> {
    if (!(await this.#fill())) throw this.#refuse('it ends in the middle');
    const chunk = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(chunk.length);
    return chunk;
  }

  async exactly(size: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let left = size; left > 0; left -= chunks.at(-1)?.length ?? 0) chunks.push(await this.some(left));
    return Buffer.concat(chunks);
  }

  /** The next header; undefined at the end of the input, which is an error if nothing came before. */
  async block(first: boolean): Promise<Buffer | undefined> {
    if (!(await this.#fill())) {
      if (first) throw this.#refuse('it is empty');
      return undefined;
    }
    return await this.exactly(BLOCK);
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Reads to the end of the input, so that the layers below verify their checksums and lengths too. */
  async finish(): Promise<void> {
    for (let read = this.#rest.length; read <= MAX_PADDING; ) {
      const next = await this.#iterator.next();
      if (next.done === true) return;
      read += next.value.length;
    }
    throw this.#refuse('it has data after its end');
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
