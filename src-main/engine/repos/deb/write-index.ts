import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { diskError } from '../../core/files/disk-error.ts';
import { blocks } from '../packages/blocks.ts';
import { measure } from '../packages/measure.ts';
import type { KnownPackage } from '../store/record.ts';
import { type FetchedIndex, readEntries } from './fetch-indexes.ts';
import { debPackageOf, ENTRY_FIELDS } from './package.ts';
import type { Release } from './release.ts';
import type { DebSession } from './session.ts';

/** Where apt looks for an index by its digest: one that it reads between two synchronisations fits the Release file that it has. */
const BY_HASH = 'by-hash/SHA256';

/** A file of the index that is ready to be put in its place. */
interface Written {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly hex: string;
}

/**
 * Writes Packages, Packages.gz and Release for the packages that are present, for `deb [trusted=yes] file:FOLDER ./`, from their entries in
 * the archive's indexes: they say all that reading the packages would. Release comes last, and is replaced at once. Returns the paths of all
 * files, relative to the folder.
 */
export async function writeIndex(
  { section, folder, signal }: DebSession,
  indexes: readonly FetchedIndex[],
  present: readonly KnownPackage[],
  release: Release,
): Promise<readonly string[]> {
  const dir = join(folder.state, 'index');
  const options = signal === undefined ? [] : [{ signal }];
  try {
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
    await mkdir(join(folder.path, BY_HASH), { recursive: true });
    const [plain, packed] = [measure(), measure()];
    const [path, packedPath] = [join(dir, 'Packages'), join(dir, 'Packages.gz')];
    await pipeline(Readable.from(blocks(entriesOf(indexes, present, signal))), plain.tap, createWriteStream(path), ...options);
    await pipeline(createReadStream(path), createGzip({ level: 6 }), packed.tap, createWriteStream(packedPath), ...options);
    const written = [
      { name: 'Packages', path, size: plain.size(), hex: plain.hash.digest('hex') },
      { name: 'Packages.gz', path: packedPath, size: packed.size(), hex: packed.hash.digest('hex') },
    ];
    for (const one of written) await place(one, folder.path);
    await writeFile(join(dir, 'Release'), releaseText(section.name, release, written));
    await rename(join(dir, 'Release'), join(folder.path, 'Release'));
    return ['Release', ...written.flatMap(({ name, hex }) => [name, `${BY_HASH}/${hex}`])];
  } catch (error) {
    throw diskError(error, folder.path);
  }
}

/** The entries of these packages, each once, in the order of the indexes. */
async function* entriesOf(
  indexes: readonly FetchedIndex[],
  present: readonly KnownPackage[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  const left = new Map(present.map(({ path, hex }) => [path, hex]));
  for (const index of indexes) {
    for await (const entry of readEntries(index, ENTRY_FIELDS, signal)) {
      // Nothing more is made of the others: of an archive with 60,000 packages, most are not wanted.
      if (!left.has(posix.normalize(entry.fields.get('filename') ?? ''))) continue;
      const { filename, checksum } = debPackageOf(entry, index.what);
      if (left.get(filename) !== checksum.hex) continue;
      left.delete(filename);
      yield Buffer.concat([entry.bytes, Buffer.from('\n')]);
    }
  }
}

async function place({ name, path, hex }: Written, folder: string): Promise<void> {
  await link(path, `${path}.link`);
  await rename(`${path}.link`, join(folder, BY_HASH, hex));
  await rename(path, join(folder, name));
}

function releaseText(label: string, { suite, codename }: Release, files: readonly Written[]): string {
  const fields = [
    ['Origin', 'Lago'],
    ['Label', label],
    ['Suite', suite],
    ['Codename', codename],
    ['Date', new Date().toUTCString()],
    ['Acquire-By-Hash', 'yes'],
  ];
  const lines = fields.flatMap(([name = '', value = '']) => (value === '' ? [] : [`${name}: ${value.replace(/\s+/g, ' ')}`]));
  return `${[...lines, 'SHA256:', ...files.map(({ hex, size, name }) => ` ${hex} ${size} ${name}`)].join('\n')}\n`;
}
