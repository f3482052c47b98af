import { link, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { forEachLimit } from '../../core/until.ts';
import { hasChecksum } from '../fetch/checksum.ts';
import type { Fetcher } from '../fetch/fetcher.ts';
import type { RepoFolder } from '../store/folder.ts';
import { factsOf } from '../store/folder-files.ts';
import type { MetadataFile, Repomd } from './repomd.ts';
import type { RpmSession } from './session.ts';
import { type FetchedMetadata, keptMetadata } from './write-metadata.ts';

/** Where verified metadata waits to be read and put in place. */
function metadataFolder({ state }: RepoFolder): string {
  return join(state, 'metadata');
}

/** Fetches the metadata that is kept, but for what an interrupted synchronisation has fetched, or the last one left in its place. */
export async function fetchMetadata(session: RpmSession, fetcher: Fetcher, repomd: Repomd): Promise<readonly FetchedMetadata[]> {
  const { section, signal } = session;
  const folder = metadataFolder(session.folder);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw diskError(error, folder);
  }
  return await forEachLimit(keptMetadata(repomd.files), section.maxConnections, signal, async (file, inner) => {
    const path = join(folder, `${file.checksum.hex}-${basename(file.location)}`);
    if (!(await isHere(session, file, path, inner))) await fetcher.with(inner).fetch(file, path);
    return { file, path };
  });
}

async function isHere({ folder }: RpmSession, file: MetadataFile, path: string, signal: AbortSignal): Promise<boolean> {
  const placed = basename(file.location);
  for (const place of [path, join(folder.path, 'repodata', placed), join(folder.path, 'repodata', `${file.checksum.hex}-${placed}`)]) {
    if (factsOf(place) === undefined || !(await hasChecksum(place, file.checksum, signal))) continue;
    if (place !== path) await linkAnew(place, path);
    return true;
  }
  return false;
}

async function linkAnew(from: string, to: string): Promise<void> {
  try {
    await rm(to, { force: true });
    await link(from, to);
  } catch (error) {
    throw diskError(error, to);
  }
}

/** The file of a kind, plain or as zchunk. */
export function metadataOf(fetched: readonly FetchedMetadata[], kind: string): FetchedMetadata | undefined {
  return fetched.find(({ file }) => file.type === kind) ?? fetched.find(({ file }) => file.type === `${kind}_zck`);
}

/** That without which nothing can be chosen. */
export function primaryOf(fetched: readonly FetchedMetadata[]): FetchedMetadata {
  const found = metadataOf(fetched, 'primary');
  if (found === undefined) throw new EngineError('remote.invalid', 'repomd.xml names no list of packages (primary).');
  return found;
}
