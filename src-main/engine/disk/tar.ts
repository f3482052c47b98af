import { EngineError } from '../../../src-shared/errors.ts';

/** One file or folder of an archive. */
export interface TarEntry {
  /** Relative, `/` between its parts, none of which is empty, `.` or `..`. */
  readonly name: string;
  readonly type: 'file' | 'folder';
  /** Bytes. */
  readonly size: number;
  /** The bytes, in order. Unread ones are skipped when the next entry is requested. */
  readonly content: AsyncIterable<Buffer>;
}

const BLOCK = 512;
const MAX_ENTRIES = 10_000;
/** 64 TiB: more than any disk in an archive. */
const MAX_SIZE = 2 ** 46;
const MAX_NAME = 1024;
const MAX_NOTE = 64 * 1024;
/** Padding after the end of the archive: writers fill up their last record. */
const MAX_PADDING = 64 * 1024 * 1024;

const KINDS: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a named pipe',
  S: 'a sparse file of GNU tar',
};

/**
 * Reads a tar archive (v7, ustar, pax, GNU long names) as a stream, in constant memory. Meant for untrusted archives: links, devices,
 * sparse members, absolute names or ones with `..`, impossible sizes and more than 10,000 members are refused with a sentence
 * (`remote.invalid`); `what` is its subject, "The OVA http://...". Reading throws the input's errors.
 */
export async function* readTar(input: AsyncIterable<Buffer>, what: string): AsyncGenerator<TarEntry> {
  const source = new Source(input, what);
  let longName: string | undefined;
  let note: Note = {};
  let entries = 0;
  try {
    for (;;) {
      const block = await source.block(entries === 0);
      if (block === undefined || block.every((byte) => byte === 0)) break;
      const header = readHeader(block, what);
      entries += 1;
      if (entries > MAX_ENTRIES) throw refuse(what, `it has more than ${MAX_ENTRIES} members`);
      if (header.type === 'L' || header.type === 'K' || header.type === 'x' || header.type === 'g') {
        if (header.size > MAX_NOTE) throw refuse(what, 'it has a member with an impossibly long name');
        const data = await source.exactly(header.size);
        await source.skip(padding(header.size));
        if (header.type === 'L') longName = data.toString('utf8').replace(/\0.*$/s, '');
        else if (header.type === 'x') note = readNote(data, what);
        else if (header.type === 'g') readNote(data, what);
        continue;
      }
      const size = note.size ?? header.size;
      const given = note.path ?? longName ?? header.name;
      longName = undefined;
      note = {};
      const shown = JSON.stringify(given.slice(0, 200));
      const kind = KINDS[header.type];
      if (kind !== undefined) throw refuse(what, `its member ${shown} is ${kind}`);
      if (!['0', '\0', '5', '7'].includes(header.type))
        throw refuse(what, `its member ${shown} is of the unknown kind ${JSON.stringify(header.type)}`);
      const type = header.type === '5' || (header.type !== '7' && given.endsWith('/')) ? 'folder' : 'file';
      if (size > MAX_SIZE) throw refuse(what, `its member ${shown} claims to have ${size} bytes`);
      const name = safeName(given, what);
      const length = type === 'folder' ? 0 : size;
      const body = new Body(source, length);
      if (name !== '') yield { name, type, size: length, content: body };
      await body.skip();
      await source.skip(padding(length));
    }
    await source.finish();
  } finally {
    await source.close();
  }
}

function refuse(what: string, why: string): EngineError {
  return new EngineError('remote.invalid', `${what} cannot be unpacked: ${why}.`, {
    hint: 'Nothing of it was used. Ask its maker for a plain OVA file.',
  });
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The name without `./` and a trailing `/`; empty for the archive's own folder. */
function safeName(name: string, what: string): string {
  const shown = JSON.stringify(name.slice(0, 200));
  if (name.startsWith('/')) throw refuse(what, `its member ${shown} has an absolute path`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (name.length > MAX_NAME || /[\u0000-\u001f\u007f\ufffd\\]/.test(name))
    throw refuse(what, `its member ${shown} has a name that no file should have`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuse(what, `its member ${shown} leads out of it`);
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw refuse(what, `its member ${shown} has a name that no file should have`);
  return parts.join('/');
}

interface Header {
  readonly name: string;
  readonly type: string;
  readonly size: number;
}

function readHeader(block: Buffer, what: string): Header {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  if (sum !== number(block.subarray(148, 156), what)) throw refuse(what, 'it is no tar archive, or damaged');
  const name = text(block.subarray(0, 100));
  const posix = block.subarray(257, 263).toString('latin1') === 'ustar\0';
  const prefix = posix ? text(block.subarray(345, 500)) : '';
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: String.fromCharCode(block[156] ?? 0),
    size: number(block.subarray(124, 136), what),
  };
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end).toString('utf8');
}

/** Octal digits, or GNU's binary form for larger numbers. */
function number(field: Buffer, what: string): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return value;
  }
  const digits = /^[\s\0]*([0-7]*)[\s\0]*$/.exec(field.toString('latin1'))?.[1];
  if (digits === undefined) throw refuse(what, 'it is no tar archive, or damaged');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

interface Note {
  readonly path?: string;
  readonly size?: number;
}

/** Parses pax records, `LENGTH KEY=VALUE\n`, for path and size only. */
function readNote(data: Buffer, what: string): Note {
  let note: Note = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(32, at);
    const length = Number(data.subarray(at, Math.max(at, space)).toString('latin1'));
    const equals = data.indexOf(61, space);
    const end = at + length;
    if (space < 0 || !Number.isInteger(length) || length < 5 || end > data.length || equals < 0 || equals >= end)
      throw refuse(what, 'it is damaged');
    const key = data.subarray(space + 1, equals).toString('latin1');
    const value = data.subarray(equals + 1, end - 1).toString('utf8');
    if (key === 'path') note = { ...note, path: value };
    else if (key === 'size') {
      if (!/^\d{1,20}$/.test(value)) throw refuse(what, 'it is damaged');
      note = { ...note, size: Number(value) };
    } else if (key.startsWith('GNU.sparse')) throw refuse(what, 'it has a sparse member of GNU tar');
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
  readonly #what: string;
  #rest: Buffer = Buffer.alloc(0);

  constructor(input: AsyncIterable<Buffer>, what: string) {
    this.#iterator = input[Symbol.asyncIterator]();
    this.#what = what;
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
    if (!(await this.#fill())) throw refuse(this.#what, 'it ends in the middle');
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
      if (first) throw refuse(this.#what, 'it is empty');
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
    throw refuse(this.#what, 'it has data after its end');
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}
