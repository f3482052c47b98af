import { readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { LastSync } from '../../../../src-shared/repos/last-sync.ts';
import { diskError, writeJson } from '../../core/files/json-file.ts';
import { livingUsers } from '../../core/living-users.ts';
import { readHolder, takeLock } from '../../core/lock.ts';
import { folderNamed, type RepoFolder, STATE } from './folder.ts';
import { factsOf } from './folder-files.ts';
import { readLastSync } from './last-sync.ts';
import { readState } from './read-state.ts';
import { readRecord } from './record.ts';

/** An environment that uses a repository: its `uuid` file and that file's content. */
export interface RepoUser {
  readonly uuidFile: string;
  readonly uuid: string;
}

/** A synchronised repository of the store. */
export interface StoredRepo {
  /** Name of its folder: the id, or `ID~HASH8` for one with other servers or filters. */
  readonly name: string;
  readonly id: string;
  readonly path: string;
  /** Where it came from. */
  readonly source: string;
  readonly packages: number;
  /** Of all packages. */
  readonly bytes: number;
  /** ms since the epoch: when it was last compared with its server; null while its first synchronisation is not finished. */
  readonly syncedAt: number | null;
  /** Folders of the existing environments that use it. */
  readonly users: readonly string[];
  /** What synchronising it last did, also when it failed; null if that is not known. */
  readonly lastSync: LastSync | null;
  /** What works on it now, as "repo sync (pid 4711, since 12 s)"; null when nothing does. */
  readonly holder: string | null;
}

/** What was read of a record, as long as its file is the same: records are large, and seldom change. */
interface RecordFacts {
  readonly size: number;
  readonly mtimeMs: number;
  readonly facts: Pick<StoredRepo, 'id' | 'source' | 'packages' | 'bytes' | 'syncedAt'>;
}

/** By the path of the record. */
export type KnownRecords = Map<string, RecordFacts>;

const Users = z.looseObject({ users: z.record(z.string(), z.string()).default({}) });

/** What is in the store, in order of the names. Nothing when there is no store. `known` is for a caller who asks again. */
export async function storedRepos(store: string, known: KnownRecords = new Map()): Promise<readonly StoredRepo[]> {
  const names = await namesIn(join(store, STATE));
  return await Promise.all(names.toSorted().map(async (name) => await describe(folderNamed(store, name), known)));
}

/** Whether the store has a repository of that name; any other text is none. */
export async function hasStored(store: string, name: string): Promise<boolean> {
  return (await namesIn(join(store, STATE))).includes(name);
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw diskError(error, folder);
  }
}

async function describe(folder: RepoFolder, known: KnownRecords): Promise<StoredRepo> {
  const lastSync = (await readLastSync(folder)) ?? null;
  const facts = await recordFacts(folder, known);
  return {
    name: folder.name,
    path: folder.path,
    ...facts,
    id: facts.syncedAt === null ? (lastSync?.origin.section ?? facts.id) : facts.id,
    users: Object.keys(await usersOf(folder)).map((file) => dirname(file)),
    lastSync,
    holder: (await readHolder(folder.lock)) ?? null,
  };
}

async function recordFacts({ name, record: path }: RepoFolder, known: KnownRecords): Promise<RecordFacts['facts']> {
  const file = factsOf(path);
  const before = known.get(path);
  if (file !== undefined && before?.size === file.size && before.mtimeMs === file.mtimeMs) return before.facts;
  const record = await readRecord(path);
  if (file === undefined || record === undefined) return { id: name, source: '', packages: 0, bytes: 0, syncedAt: null };
  const { id, source, packages, syncedAt } = record;
  const facts = { id, source, packages: packages.length, bytes: packages.reduce((sum, { size }) => sum + size, 0), syncedAt };
  known.set(path, { ...file, facts });
  return facts;
}

async function usersOf(folder: RepoFolder): Promise<Record<string, string>> {
  return await livingUsers((await readState(folder.users, Users))?.users ?? {});
}

/** Records an environment as user of a repository. The caller holds the repository's lock. */
export async function addRepoUser(folder: RepoFolder, user: RepoUser): Promise<void> {
  const users = await usersOf(folder);
  if (users[user.uuidFile] === user.uuid) return;
  await writeJson(folder.users, { users: { ...users, [user.uuidFile]: user.uuid } });
}

/**
 * Removes a repository that no environment uses from the store, with everything about it. `conflict.locked` while it is used or being
 * synchronised, `input.invalid` when the store has none of that name.
 */
export async function removeStored(store: string, name: string, signal?: AbortSignal): Promise<StoredRepo> {
  const folder = folderNamed(store, name);
  if (!(await hasStored(store, name))) throw noneOf(store, name);
  await using _lock = await takeLock(folder.lock, { signal, purpose: 'repo clean' }).catch((error: unknown) => {
    // Another process has removed it in this moment.
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? noneOf(store, name) : error;
  });
  const found = await describe(folder, new Map());
  if (found.users.length > 0) {
    throw new EngineError('conflict.locked', `The package repository ${name} is used by ${found.users.join(', ')}.`, {
      details: { users: found.users.length },
      hint: 'Destroy these environments first.',
    });
  }
  try {
    await rm(folder.path, { recursive: true, force: true });
    await removeState(folder);
  } catch (error) {
    throw diskError(error, folder.path);
  }
  return found;
}

function noneOf(store: string, name: string): EngineError {
  return new EngineError('input.invalid', `The store ${store} has no package repository ${name}.`, {
    hint: '"lago repo list" shows those that it has.',
  });
}

/** Last, so that a killed removal is seen and can be repeated; and the lock last of all. */
async function removeState({ state, lock }: RepoFolder): Promise<void> {
  for (const name of await readdir(state)) {
    const path = join(state, name);
    if (path !== lock) await rm(path, { recursive: true, force: true });
  }
  await rm(lock, { force: true });
  try {
    await rmdir(state);
  } catch (error) {
    // A synchronisation that waited for the lock has made a new one.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}
