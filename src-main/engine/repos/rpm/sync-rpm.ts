import { join } from 'node:path';
import { shownAddress } from '../../core/download/shown-url.ts';
import { openFetcher } from '../fetch/fetcher.ts';
import { unpackMetadata } from '../fetch/unpack-metadata.ts';
import { readKeys } from '../keys/read-keys.ts';
import { type SyncFolderOptions, syncFolder } from '../packages/sync-folder.ts';
import type { WantedPackage } from '../store/record.ts';
import type { SyncResult } from '../sync-result.ts';
import { choosePackages } from './choose.ts';
import { fetchMetadata, metadataOf, primaryOf } from './fetch-metadata.ts';
import { readModules } from './modules.ts';
import { type RpmPackage, shownPackage } from './package.ts';
import { readPrimary } from './primary.ts';
import { type Index, readIndex } from './read-index.ts';
import type { RpmSession } from './session.ts';
import { openPackageKeys } from './signatures.ts';
import { readSources } from './sources.ts';
import { type FetchedMetadata, writeMetadata } from './write-metadata.ts';

/**
 * Makes the session's folder hold what its repository of rpm packages has: of each package the newest, as `choose.ts` says, and metadata
 * that lists just these. Errors as `syncFolder`, and `remote.invalid` for damaged or unsigned metadata.
 */
export async function syncRpm(session: RpmSession, options: SyncFolderOptions): Promise<SyncResult> {
  const { section, folder, connections, patience, log, signal } = session;
  const signed = section.gpgCheck && section.gpgKeys.length > 0;
  if (section.gpgCheck && !signed) {
    log.warn(`The repository ${section.id} has gpgcheck but no gpgkey: the signatures of its packages are not checked.`);
  }
  const sources = await readSources(session);
  const { mirrors } = sources;
  const fetcher = await openFetcher({ connections, mirrors, parts: join(folder.state, 'parts'), patience });
  return await syncFolder<Index>(
    session,
    {
      fetcher,
      source: shownAddress(section.baseurls[0] ?? section.metalink ?? section.mirrorlist ?? mirrors.best().url),
      signed,
      openKeys: signed ? async () => await openPackageKeys(join(folder.state, 'keys'), await readKeys(session), signal) : undefined,
      readIndex: async (known) => await readIndex(session, sources, known),
      async choose({ repomd }) {
        for (const what of repomd.unusable) log.warn(`Metadata of the repository ${section.id} is passed over: ${what}.`);
        const metadata = await fetchMetadata(session, fetcher, repomd);
        const all = await readAll(session, metadata);
        const chosen = choosePackages(all, { ...section, modules: await modulesOf(session, metadata) });
        return {
          wanted: chosen.map(wantedOf),
          async writeMetadata(present) {
            const ids = new Set(present.map(({ hex }) => hex));
            const complete = ids.size === all.length;
            const names = await writeMetadata(folder.path, metadata, complete ? undefined : ids, repomd.revision, signal);
            return names.map((name) => `repodata/${name}`);
          },
        };
      },
      partOf: (path) => (path.endsWith('.rpm') ? 'package' : path.startsWith('repodata/') ? 'metadata' : undefined),
    },
    options,
  );
}

async function readAll({ signal }: RpmSession, metadata: readonly FetchedMetadata[]): Promise<readonly RpmPackage[]> {
  const { path, file } = primaryOf(metadata);
  return await readPrimary(await unpackMetadata(path, file.location, signal), file.location);
}

async function modulesOf({ section: { id }, log, signal }: RpmSession, metadata: readonly FetchedMetadata[]) {
  const found = metadataOf(metadata, 'modules');
  if (found === undefined) return [];
  return await readModules(await unpackMetadata(found.path, found.file.location, signal), (why) =>
    log.warn(`A module of the repository ${id} is passed over, since its description (modules.yaml) is damaged: ${why}.`),
  );
}

function wantedOf(one: RpmPackage): WantedPackage {
  const { checksum, location, base, size } = one;
  return { path: location, size, name: shownPackage(one), ...checksum, ...(base === undefined ? {} : { base }) };
}
