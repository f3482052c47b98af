import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { RepoSection } from '../definition/section.ts';
import { type RecordAsRead, readRecordAnew } from './record.ts';

/** Where a repository of the store is. */
export interface RepoFolder {
  /** Its name below the store: the id, or `ID~HASH8`. */
  readonly name: string;
  /** Packages and metadata. */
  readonly path: string;
  /** What the program keeps about it. */
  readonly state: string;
  readonly record: string;
  readonly lock: string;
  readonly users: string;
  /** What the last synchronisation did: `last-sync.ts`. */
  readonly lastSync: string;
  /** Digest of servers and filters. */
  readonly definition: string;
}

/** The folder of the store for the program's own files: parts, records, locks. */
export const STATE = '.lago';

/** The paths of a repository of the store. */
export function folderNamed(store: string, name: string, definition = ''): RepoFolder {
  const state = join(store, STATE, name);
  return {
    name,
    path: join(store, name),
    state,
    record: join(state, 'record.json'),
    lock: join(state, 'lock'),
    users: join(state, 'users.json'),
    lastSync: join(state, 'last-sync.json'),
    definition,
  };
}

/** The folder of a repository, see `findFolder`. */
export async function folderOf(store: string, section: RepoSection): Promise<RepoFolder> {
  return (await findFolder(store, section)).folder;
}

/**
 * The folder of a repository: `STORE/ID`, where Lago and dnf reposync have it too, unless a repository of that id with other servers or
 * filters has it; then `STORE/ID~HASH8`. With its record, which may be replaced while the lock is not held.
 */
export async function findFolder(
  store: string,
  section: RepoSection,
): Promise<{ readonly folder: RepoFolder; readonly known: RecordAsRead }> {
  const definition = definitionOf(section);
  const name = section.id.replaceAll('/', '_').replace(/^\./, '_');
  const plain = folderNamed(store, name, definition);
  const known = await readRecordAnew(plain.record);
  if (known.record?.definition === definition) return { folder: plain, known };
  const own = folderNamed(store, `${name}~${definition.slice(0, 8)}`, definition);
  // Where it is already it stays, also when the other one is gone or its record damaged.
  const ofOwn = await readRecordAnew(own.record);
  return known.record === undefined && ofOwn.record === undefined ? { folder: plain, known } : { folder: own, known: ofOwn };
}

/** What decides which packages a repository has. */
function definitionOf(section: RepoSection): string {
  const parts =
    section.kind === 'rpm'
      ? [section.baseurls, section.mirrorlist, section.metalink, section.excludes, section.includes, section.moduleHotfixes]
      : [section.uri, section.suite, section.components, section.architectures, section.packages, section.excludes];
  return createHash('sha256')
    .update(JSON.stringify([section.kind, ...parts.map((part) => part ?? null)]))
    .digest('hex');
}
