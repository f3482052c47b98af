import { mkdir } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { forEachLimit } from '../../core/until.ts';
import { hasChecksum } from '../fetch/checksum.ts';
import { failureKind } from '../fetch/failure.ts';
import type { Fetcher } from '../fetch/fetcher.ts';
import { unpackMetadata } from '../fetch/unpack-metadata.ts';
import { factsOf } from '../store/folder-files.ts';
import type { Archive } from './archive.ts';
import { type Release, type ReleaseFile, type WantedIndex, wantedIndexes } from './release.ts';
import type { DebSession } from './session.ts';
import { readStanzas, type Stanza } from './stanzas.ts';

/** An index of packages that was fetched and verified. */
export interface FetchedIndex {
  readonly path: string;
  /** For messages. */
  readonly what: string;
}

/** Fetches the indexes of packages of these architectures, but for what an interrupted synchronisation has fetched. */
export async function fetchIndexes(
  session: DebSession,
  fetcher: Fetcher,
  archive: Archive,
  release: Release,
  architectures: readonly string[],
): Promise<readonly FetchedIndex[]> {
  const { section, folder, signal } = session;
  const dir = join(folder.state, 'metadata');
  try {
    await mkdir(dir, { recursive: true });
  } catch (error) {
    throw diskError(error, dir);
  }
  const wanted = wantedIndexes(release, section, architectures);
  return await forEachLimit(wanted, section.maxConnections, signal, async (index, inner) => {
    return await fetchIndex(index, { dir, archive, byHash: release.byHash, fetcher: fetcher.with(inner), signal: inner, id: section.id });
  });
}

interface Fetching {
  readonly dir: string;
  readonly archive: Archive;
  readonly byHash: boolean;
  readonly fetcher: Fetcher;
  readonly signal: AbortSignal;
  readonly id: string;
}

/** Archives name files that they do not have, so that each is tried, the best packed first. */
async function fetchIndex(index: WantedIndex, fetching: Fetching): Promise<FetchedIndex> {
  let failure = new EngineError('internal', `The source ${fetching.id} has an index without files.`);
  for (const file of index) {
    const path = join(fetching.dir, `${file.checksum.hex}-${basename(file.path)}`);
    const what = `${file.path} of the source ${fetching.id}`;
    if (factsOf(path) !== undefined && (await hasChecksum(path, file.checksum, fetching.signal))) return { path, what };
    for (const location of locationsOf(file, fetching)) {
      try {
        await fetching.fetcher.fetch({ location, size: file.size, checksum: file.checksum }, path);
        return { path, what };
      } catch (error) {
        const absent = ['missing', 'refused'].includes(failureKind(error) ?? '');
        if (!absent || !(error instanceof EngineError)) throw error;
        failure = error;
      }
    }
  }
  throw failure;
}

/** By its digest a file is what it was when the Release file was read, also while the archive is changed. */
function locationsOf({ path, checksum: { algorithm, hex } }: ReleaseFile, { archive, byHash }: Fetching): readonly string[] {
  const plain = `${archive.folder}${path}`;
  return byHash ? [posix.join(posix.dirname(plain), 'by-hash', algorithm.toUpperCase(), hex), plain] : [plain];
}

/** The entries of an index with these fields. */
export async function* readEntries(
  { path, what }: FetchedIndex,
  fields: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Stanza> {
  yield* readStanzas(await unpackMetadata(path, what, signal), what, fields);
}
