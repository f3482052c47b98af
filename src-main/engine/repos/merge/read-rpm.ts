import { type FileHandle, open } from 'node:fs/promises';
import { NotAPackage, type PackageFile } from './package-file.ts';

const LEAD_BYTES = 96;
const LEAD_MAGIC = 0xedabeedb;
/** With the version of the header's format, 1. */
const HEADER_MAGIC = 0x8eade801;
const INTRO_BYTES = 16;
const ENTRY_BYTES = 16;
/** rpm's own limits. */
const MAX_ENTRIES = 0xffff;
const MAX_DATA = 256 * 1024 * 1024;
const MAX_TEXT = 1024;

const TAGS = { name: 1000, version: 1001, release: 1002, epoch: 1003, arch: 1022 } as const;
const TYPE_INT32 = 4;
const TYPE_STRING = 6;

/**
 * Name and version of an rpm package, from its header (rpm's documentation, “RPM v4 format”): a few hundred bytes, so that thousands of
 * packages take less than a second. Undefined for one of sources. Throws `NotAPackage`.
 */
export async function readRpm(path: string): Promise<PackageFile | undefined> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const lead = await bytesOf(file, 0, LEAD_BYTES);
    if (lead.readUInt32BE(0) !== LEAD_MAGIC) throw new NotAPackage('it does not begin like an rpm package');
    if (lead.readUInt16BE(6) === 1) return undefined;
    const signature = await readIntro(file, LEAD_BYTES);
    const header = await readIntro(file, alignedEnd(signature));
    const fields = await readFields(file, header);
    const text = (field: keyof typeof TAGS): string => {
      const value = fields[field];
      if (typeof value === 'string' && value !== '') return value;
      throw new NotAPackage(`it does not say its ${field}`);
    };
    const epoch = typeof fields.epoch === 'number' ? String(fields.epoch) : '0';
    const version = { epoch, version: text('version'), release: text('release') };
    return { kind: 'rpm', path, size, name: text('name'), version, arch: text('arch') };
  } finally {
    await file.close();
  }
}

async function bytesOf(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new NotAPackage('it is cut off');
  return buffer;
}

interface Header {
  /** Where its index begins. */
  readonly index: number;
  readonly entries: number;
  readonly dataBytes: number;
}

async function readIntro(file: FileHandle, position: number): Promise<Header> {
  const intro = await bytesOf(file, position, INTRO_BYTES);
  const [entries, dataBytes] = [intro.readUInt32BE(8), intro.readUInt32BE(12)];
  if (intro.readUInt32BE(0) !== HEADER_MAGIC || entries > MAX_ENTRIES || dataBytes > MAX_DATA)
    throw new NotAPackage('its header is damaged');
  return { index: position + INTRO_BYTES, entries, dataBytes };
}

const dataOf = ({ index, entries }: Header): number => index + entries * ENTRY_BYTES;
/** Only the signature is padded. */
const alignedEnd = (header: Header): number => Math.ceil((dataOf(header) + header.dataBytes) / 8) * 8;

async function readFields(file: FileHandle, header: Header): Promise<Partial<Record<keyof typeof TAGS, string | number>>> {
  const index = await bytesOf(file, header.index, header.entries * ENTRY_BYTES);
  const fields: Partial<Record<keyof typeof TAGS, string | number>> = {};
  for (let at = 0; at < index.length; at += ENTRY_BYTES) {
    const [tag, type, offset] = [index.readUInt32BE(at), index.readUInt32BE(at + 4), index.readUInt32BE(at + 8)];
    const field = (Object.keys(TAGS) as (keyof typeof TAGS)[]).find((name) => TAGS[name] === tag);
    if (field === undefined || offset >= header.dataBytes) continue;
    const value = await bytesOf(file, dataOf(header) + offset, Math.min(MAX_TEXT, header.dataBytes - offset));
    if (type === TYPE_INT32 && value.length >= 4) fields[field] = value.readUInt32BE(0);
    if (type === TYPE_STRING) fields[field] = value.subarray(0, Math.max(0, value.indexOf(0))).toString('utf8');
  }
  return fields;
}
