import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { diskError, writeFileAtomic } from '../../core/files/json-file.ts';
import { element, printXml } from '../../core/xml/write-xml.ts';
import { unpackMetadata } from '../fetch/unpack-metadata.ts';
import { blocks } from '../packages/blocks.ts';
import { measure } from '../packages/measure.ts';
import { type Piece, packageElements } from './package-elements.ts';
import type { MetadataFile } from './repomd.ts';

/** A metadata file of the repository that was fetched and verified. */
export interface FetchedMetadata {
  readonly file: MetadataFile;
  readonly path: string;
}

/** A metadata file in its place, as repomd.xml describes it. */
interface WrittenMetadata {
  readonly type: string;
  readonly name: string;
  readonly size: number;
  readonly algorithm: string;
  readonly hex: string;
  readonly open?: { readonly size: number; readonly hex: string };
}

/** Metadata that lists all packages, and is cut down to those that are here. */
const PER_PACKAGE = new Set(['primary', 'filelists', 'filelists-ext', 'other']);

/** The kind without what says how it is packed: `primary_zck` → `primary`. */
function kindOf(type: string): string {
  return type.replace(/_zck$/, '');
}

/**
 * Which metadata of a repository is kept: everything but second copies in other formats (SQLite, zchunk) and deltas, of which no package is
 * kept.
 */
export function keptMetadata(files: readonly MetadataFile[]): readonly MetadataFile[] {
  const types = new Set(files.map(({ type }) => type));
  return files.filter(({ type }) => {
    if (type.endsWith('_db') || type === 'prestodelta' || type === 'deltainfo') return false;
    return !type.endsWith('_zck') || !types.has(kindOf(type));
  });
}

/**
 * Writes repodata/ for the packages with these checksums (all of them: undefined), so that the folder is a working repository at every
 * moment: new files first, then repomd.xml, which is replaced at once. Returns the names of its files; the caller deletes others.
 */
export async function writeMetadata(
  folder: string,
  fetched: readonly FetchedMetadata[],
  ids: ReadonlySet<string> | undefined,
  revision: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const repodata = join(folder, 'repodata');
  try {
    await mkdir(repodata, { recursive: true });
    const written: WrittenMetadata[] = [];
    for (const one of fetched) {
      const cut = PER_PACKAGE.has(kindOf(one.file.type)) && (ids !== undefined || one.file.type.endsWith('_zck'));
      written.push(cut ? await writeCut(repodata, one, ids, signal) : await place(repodata, one));
    }
    await writeFileAtomic(join(repodata, 'repomd.xml'), repomdXml(written, revision));
    return ['repomd.xml', ...written.map(({ name }) => name)];
  } catch (error) {
    throw diskError(error, repodata);
  }
}

async function place(repodata: string, { file, path }: FetchedMetadata): Promise<WrittenMetadata> {
  const { size } = await stat(path);
  const plain = basename(file.location);
  const name = plain.includes(file.checksum.hex) ? plain : `${file.checksum.hex}-${plain}`;
  await rename(path, join(repodata, name));
  return { type: file.type, name, size, algorithm: file.checksum.algorithm, hex: file.checksum.hex };
}

async function writeCut(
  repodata: string,
  { file, path }: FetchedMetadata,
  ids: ReadonlySet<string> | undefined,
  signal: AbortSignal | undefined,
): Promise<WrittenMetadata> {
  const kind = kindOf(file.type);
  const temporary = join(repodata, `.${kind}.tmp`);
  const plain = measure();
  const packed = measure();
  const pieces = packageElements(await unpackMetadata(path, file.location, signal), file.location);
  await pipeline(
    Readable.from(blocks(onlyOf(pieces, ids))),
    plain.tap,
    createGzip({ level: 6 }),
    packed.tap,
    createWriteStream(temporary),
    ...(signal === undefined ? [] : [{ signal }]),
  );
  const hex = packed.hash.digest('hex');
  const name = `${hex}-${kind}.xml.gz`;
  await rename(temporary, join(repodata, name));
  return { type: kind, name, size: packed.size(), algorithm: 'sha256', hex, open: { size: plain.size(), hex: plain.hash.digest('hex') } };
}

/** The pieces of these packages, and what is around them with their number. */
async function* onlyOf(pieces: AsyncIterable<Piece>, ids: ReadonlySet<string> | undefined): AsyncGenerator<Buffer> {
  for await (const { isPackage, bytes } of pieces) {
    if (ids === undefined) yield bytes;
    else if (!isPackage) yield withCount(bytes, ids.size);
    else if (ids.has(idOf(bytes))) yield bytes;
  }
}

/** Which package an element is of: `pkgid` of filelists and other, the checksum of primary. Looks at no more text than it has to. */
function idOf(bytes: Buffer): string {
  const end = bytes.indexOf('>');
  const attribute = /\bpkgid=["']([0-9a-fA-F]+)["']/.exec(bytes.toString('latin1', 0, Math.min(end, 512)))?.[1];
  if (attribute !== undefined) return attribute.toLowerCase();
  const at = bytes.indexOf('<checksum ');
  const digits = /^<checksum [^>]*>\s*([0-9a-fA-F]+)\s*</.exec(bytes.toString('latin1', at, at + 512))?.[1];
  return at < 0 || digits === undefined ? '' : digits.toLowerCase();
}

function withCount(bytes: Buffer, count: number): Buffer {
  const text = bytes.toString('utf8');
  return /<(metadata|filelists|otherdata|filelists-ext)\b/.test(text)
    ? Buffer.from(text.replace(/\bpackages=(["'])\d+\1/, `packages="${count}"`))
    : bytes;
}

function repomdXml(files: readonly WrittenMetadata[], revision: string): string {
  const data = files.map(({ type, name, size, algorithm, hex, open }) =>
    element(
      'data',
      { type },
      element('checksum', { type: algorithm }, hex),
      open !== undefined && element('open-checksum', { type: 'sha256' }, open.hex),
      element('location', { href: `repodata/${name}` }),
      element('size', {}, String(size)),
      open !== undefined && element('open-size', {}, String(open.size)),
    ),
  );
  const root = element('repomd', { xmlns: 'http://linux.duke.edu/metadata/repo' }, element('revision', {}, revision), ...data);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${printXml(root)}`;
}
