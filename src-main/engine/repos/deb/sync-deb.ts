import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { shownAddress } from '../../core/download/shown-url.ts';
import { openFetcher } from '../fetch/fetcher.ts';
import { fnmatch } from '../packages/fnmatch.ts';
import { type SyncFolderOptions, syncFolder } from '../packages/sync-folder.ts';
import type { WantedPackage } from '../store/record.ts';
import type { SyncResult } from '../sync-result.ts';
import { archiveOf, archiveUrl } from './archive.ts';
import { chooseDebPackages } from './choose.ts';
import { type FetchedIndex, fetchIndexes, readEntries } from './fetch-indexes.ts';
import { type DebPackage, debPackageOf, ENTRY_FIELDS, ENTRY_FIELDS_WITH_RELATIONS, isDebFile } from './package.ts';
import { type Index, readIndex } from './read-index.ts';
import type { DebSession } from './session.ts';
import { readTrust } from './trust.ts';
import { writeIndex } from './write-index.ts';

/** Of sources that name none. */
const ARCHITECTURES = ['amd64'];

/**
 * Makes the session's folder hold what its source of apt has: of each package the newest, or the named ones and whatever they depend on, and
 * an index that lists just these. Errors as `syncFolder`, `readTrust` and `readIndex`.
 */
export async function syncDeb(session: DebSession, options: SyncFolderOptions): Promise<SyncResult> {
  const { section, folder, connections, patience } = session;
  const trust = await readTrust(section);
  const archive = archiveOf(section);
  const named = section.architectures.filter((arch) => arch !== 'all');
  const architectures = named.length > 0 ? named : ARCHITECTURES;
  const fetcher = await openFetcher({
    connections,
    mirrors: archive.mirrors,
    parts: join(folder.state, 'parts'),
    patience,
    urlOf: archiveUrl,
  });
  let seen = options.record?.index.date;
  return await syncFolder<Index>(
    session,
    {
      fetcher,
      source: shownAddress(section.uri),
      signed: trust !== undefined,
      async readIndex(index) {
        const read = await readIndex(session, archive, trust, { index, date: seen });
        if (read !== 'unchanged') seen = read.known.date ?? seen;
        return read;
      },
      async choose({ release }) {
        const indexes = await fetchIndexes(session, fetcher, archive, release, architectures);
        return {
          wanted: await wantedPackages(session, indexes, architectures),
          writeMetadata: async (present) => await writeIndex(session, indexes, present, release),
        };
      },
      partOf: (path) => (isDebFile(path) ? 'package' : /^(?:Packages(?:\.gz)?|Release|by-hash\/.*)$/.test(path) ? 'metadata' : undefined),
    },
    options,
  );
}

async function wantedPackages(
  { section, log, signal }: DebSession,
  indexes: readonly FetchedIndex[],
  architectures: readonly string[],
): Promise<readonly WantedPackage[]> {
  const usable = new Set(['all', ...architectures]);
  const all: DebPackage[] = [];
  const fields = section.packages.length > 0 ? ENTRY_FIELDS_WITH_RELATIONS : ENTRY_FIELDS;
  for (const index of indexes) {
    for await (const entry of readEntries(index, fields, signal)) {
      const one = debPackageOf(entry, index.what);
      if (usable.has(one.arch)) all.push(one);
    }
  }
  const excludes = section.excludes.map(fnmatch);
  const { packages, missing, unmet } = chooseDebPackages(all, {
    packages: section.packages,
    excluded: (name) => excludes.some((fits) => fits(name)),
  });
  if (missing.length > 0) log.warn(`The source ${section.id} has no packages ${missing.join(', ')}.`);
  if (unmet.length > 0) log.info(`The source ${section.id} does not have what its packages depend on: ${unmet.join(', ')}.`);
  return withoutClash(packages, section.id).map(wantedOf);
}

/** No two files can have the same place. */
function withoutClash(packages: readonly DebPackage[], id: string): readonly DebPackage[] {
  const places = new Map<string, DebPackage>();
  for (const one of packages) {
    const other = places.get(one.filename);
    if (other !== undefined) {
      throw new EngineError(
        'remote.invalid',
        `The source ${id} has two packages in one file, ${one.filename}: ${other.name} and ${one.name}.`,
      );
    }
    places.set(one.filename, one);
  }
  return packages;
}

function wantedOf({ name, version, arch, filename, size, checksum }: DebPackage): WantedPackage {
  return { path: filename, size, name: `${name}_${version}_${arch}`, ...checksum };
}
