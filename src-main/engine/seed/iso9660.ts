import { EngineError } from '../../../src-shared/errors.ts';

const SECTOR = 2048;
/** Fixed sector numbers of the structures; the files follow. */
const PRIMARY = 16;
const JOLIET = 17;
const TERMINATOR = 18;
const PATH_TABLES = 19;
const PRIMARY_ROOT = 23;
const JOLIET_ROOT = 24;
const FIRST_FILE = 25;
/** 1 January 2000, a fixed date for reproducible images. */
const DATE = [100, 1, 1, 0, 0, 0, 0] as const;

export interface IsoFile {
  /** 1 to 64 characters without `/`, `\`, `*`, `:`, `;`, `?`: what Joliet allows. */
  readonly name: string;
  readonly content: string | Uint8Array;
}

/**
 * A small ISO 9660 image with Joliet names (ECMA-119; Joliet specification of 1995): one folder of files, volume label `label` (at most 16
 * characters). The same input gives the same bytes. `input.invalid` for names that cannot be represented and for more files than fit into
 * one directory sector (about 20).
 */
export function writeIso(label: string, files: readonly IsoFile[]): Uint8Array {
  if (label === '' || label.length > 16 || !/^[A-Za-z0-9_-]+$/.test(label)) {
    throw new EngineError('input.invalid', `"${label}" cannot be the label of an ISO image.`);
  }
  const encoder = new TextEncoder();
  let next = FIRST_FILE;
  const placed = files.map(({ name, content }, index) => {
    if (!/^[^\p{Cc}/\\*:;?]{1,64}$/u.test(name) || files.findIndex((other) => other.name === name) !== index) {
      throw new EngineError('input.invalid', `${JSON.stringify(name)} cannot be the name of a file in an ISO image.`);
    }
    const bytes = typeof content === 'string' ? encoder.encode(content) : content;
    const start = next;
    next += Math.ceil(bytes.length / SECTOR);
    return { name, bytes, start, size: bytes.length, short: shortName(name, index) };
  });
  const image = new Uint8Array(next * SECTOR);
  const entries = (joliet: boolean): readonly { readonly id: Uint8Array; readonly start: number; readonly size: number }[] =>
    placed
      .map(({ name, short, start, size }) => ({ id: joliet ? ucs2(name) : ascii(short), start, size }))
      .sort((a, b) => compareBytes(a.id, b.id));

  image.set(descriptor(1, label, next, PATH_TABLES, PRIMARY_ROOT), PRIMARY * SECTOR);
  image.set(descriptor(2, label, next, PATH_TABLES + 2, JOLIET_ROOT), JOLIET * SECTOR);
  image.set([255, ...ascii('CD001'), 1], TERMINATOR * SECTOR);
  image.set(pathTable(PRIMARY_ROOT, true), PATH_TABLES * SECTOR);
  image.set(pathTable(PRIMARY_ROOT, false), (PATH_TABLES + 1) * SECTOR);
  image.set(pathTable(JOLIET_ROOT, true), (PATH_TABLES + 2) * SECTOR);
  image.set(pathTable(JOLIET_ROOT, false), (PATH_TABLES + 3) * SECTOR);
  image.set(directory(PRIMARY_ROOT, entries(false)), PRIMARY_ROOT * SECTOR);
  image.set(directory(JOLIET_ROOT, entries(true)), JOLIET_ROOT * SECTOR);
  for (const { bytes, start } of placed) image.set(bytes, start * SECTOR);
  return image;
}

/** 8.3 names in capitals for readers without Joliet; the number makes them unique. */
function shortName(name: string, index: number): string {
  const stem = name
    .replace(/\.[^.]*$/, '')
    .toUpperCase()
    .replace(/[^A-Z0-9_]/g, '_');
  return `${stem.slice(0, 6)}${String(index).padStart(2, '0')}.;1`;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Big-endian, as Joliet requires. */
function ucs2(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < text.length; index++) view.setUint16(index * 2, text.charCodeAt(index));
  return bytes;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Numbers are stored in both byte orders, one after the other. */
function both16(view: DataView, at: number, value: number): void {
  view.setUint16(at, value, true);
  view.setUint16(at + 2, value);
}

function both32(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
  view.setUint32(at + 4, value);
}

function directoryRecord(id: Uint8Array, start: number, size: number, folder: boolean): Uint8Array {
  const length = 33 + id.length + (id.length % 2 === 0 ? 1 : 0);
  const record = new Uint8Array(length);
  const view = new DataView(record.buffer);
  record[0] = length;
  both32(view, 2, start);
  both32(view, 10, size);
  record.set(DATE, 18);
  record[25] = folder ? 2 : 0;
  both16(view, 28, 1);
  record[32] = id.length;
  record.set(id, 33);
  return record;
}

function directory(
  self: number,
  entries: readonly { readonly id: Uint8Array; readonly start: number; readonly size: number }[],
): Uint8Array {
  const records = [
    directoryRecord(Uint8Array.of(0), self, SECTOR, true),
    directoryRecord(Uint8Array.of(1), self, SECTOR, true),
    ...entries.map(({ id, start, size }) => directoryRecord(id, start, size, false)),
  ];
  const length = records.reduce((sum, record) => sum + record.length, 0);
  if (length > SECTOR) throw new EngineError('input.invalid', `An ISO image of this kind cannot hold ${entries.length} files.`);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  return bytes;
}

/** One entry: the root. */
function pathTable(root: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  view.setUint32(2, root, littleEndian);
  view.setUint16(6, 1, littleEndian);
  return bytes;
}

function descriptor(type: 1 | 2, label: string, sectors: number, pathTables: number, root: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  const view = new DataView(bytes.buffer);
  const text = (at: number, length: number, value: string): void => {
    const encoded = type === 2 ? ucs2(value.padEnd(Math.floor(length / 2), ' ')) : ascii(value.padEnd(length, ' '));
    bytes.set(encoded.subarray(0, length), at);
  };
  bytes[0] = type;
  bytes.set(ascii('CD001'), 1);
  bytes[6] = 1;
  text(8, 32, '');
  text(40, 32, label);
  both32(view, 80, sectors);
  // Escape sequence for UCS-2 level 3.
  if (type === 2) bytes.set(ascii('%/E'), 88);
  both16(view, 120, 1);
  both16(view, 124, 1);
  both16(view, 128, SECTOR);
  both32(view, 132, 10);
  view.setUint32(140, pathTables, true);
  view.setUint32(148, pathTables + 1);
  bytes.set(directoryRecord(Uint8Array.of(0), root, SECTOR, true), 156);
  for (const at of [190, 318, 446, 574]) text(at, 128, '');
  for (const at of [702, 739, 776]) text(at, 37, '');
  // Four unspecified dates: digits 0, offset 0.
  for (const at of [813, 830, 847, 864]) bytes.set(ascii('0'.repeat(16)), at);
  bytes[881] = 1;
  return bytes;
}
