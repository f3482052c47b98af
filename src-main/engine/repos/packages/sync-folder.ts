import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { bootId } from '../../core/process-identity.ts';
import type { Fetcher } from '../fetch/fetcher.ts';
import { factsOfAll, isUnchanged, removeFiles } from '../store/folder-files.ts';
import { type KnownFile, type KnownIndex, type KnownPackage, type SyncRecord, type WantedPackage, writeRecord } from '../store/record.ts';
import type { SyncProgress, SyncResult } from '../sync-result.ts';
import { type FetchOptions, fetchPackages, type PackageKeys, type PackagesOutcome } from './fetch-packages.ts';
import type { SyncSession } from './session.ts';
import type { Siblings } from './siblings.ts';

export interface SyncFolderOptions {
  /** Of the last synchronisation into this folder. */
  readonly record: SyncRecord | undefined;
  readonly siblings: Siblings;
  /** Compare every file by its checksum, also those that nobody touched. */
  readonly verify: boolean;
  readonly onProgress: (progress: SyncProgress) => void;
}

/** What the kinds of repositories do differently. */
export interface Repository<I extends { readonly known: KnownIndex }> {
  readonly fetcher: Fetcher;
  /** Its address, for people. */
  readonly source: string;
  /** Whether signatures are checked. */
  readonly signed: boolean;
  /** For packages that are signed each. */
  readonly openKeys?: (() => Promise<PackageKeys>) | undefined;
  /** The index as it is now, checked; `unchanged` when it is the known one. */
  readIndex(known: KnownIndex | undefined): Promise<I | 'unchanged'>;
  /** Which packages the folder is to have. */
  choose(index: I): Promise<ChosenContent>;
  /** Whether a file of the folder is a package, or metadata; others are left alone. */
  partOf(path: string): 'package' | 'metadata' | undefined;
}

export interface ChosenContent {
  readonly wanted: readonly WantedPackage[];
  /**
   * Writes metadata that lists the packages that are present, so that the folder is a working repository at every moment. Returns the paths
   * of its files; others are deleted.
   */
  writeMetadata(present: readonly KnownPackage[]): Promise<readonly string[]>;
}

/** A repository may be changed on its servers while it is fetched; then it is read anew, this often. */
const ROUNDS = 4;

/**
 * Makes the session's folder hold what its repository has, as far as it is chosen, and metadata that lists just that. Interrupted at any
 * moment, the next call goes on from there. The caller holds the folder's lock. Errors as `fetcher.ts`, and those of the repository.
 */
export async function syncFolder<I extends { readonly known: KnownIndex }>(
  session: SyncSession,
  repository: Repository<I>,
  options: SyncFolderOptions,
): Promise<SyncResult> {
  const { section, log } = session;
  let record = options.record;
  for (let round = 1; ; round++) {
    const whole = !options.verify && record !== undefined && (await isWhole(session, record.metadata)) ? record.index : undefined;
    const index = await repository.readIndex(whole);
    if (index === 'unchanged' && record !== undefined) return await syncUnchanged(session, repository, record, options);
    if (index === 'unchanged') throw new EngineError('internal', `The index of ${section.id} is unchanged, but there is no record of it.`);
    try {
      const outcome = await syncChanged(session, repository, index, { ...options, record });
      if (outcome.problems.length === 0 || round === ROUNDS || !(await hasMovedOn(repository, index))) return outcome.result;
      record = outcome.record;
    } catch (error) {
      const passing = error instanceof EngineError && ['remote.invalid', 'remote.hash-mismatch'].includes(error.code);
      if (!passing || round === ROUNDS || !(await hasMovedOn(repository, index))) throw error;
      log.debug(`${error.message} The repository has changed meanwhile; reading it anew.`);
    }
  }
}

async function hasMovedOn<I extends { readonly known: KnownIndex }>(repository: Repository<I>, { known }: I): Promise<boolean> {
  return (await repository.readIndex(known)) !== 'unchanged';
}

/** Whether files are as they were when their content was right. */
async function isWhole({ folder, signal }: SyncSession, files: readonly KnownFile[]): Promise<boolean> {
  const facts = await factsOfAll(
    folder.path,
    files.map(({ path }) => path),
    signal,
  );
  return files.length > 0 && files.every((file, index) => isUnchanged(file, facts[index]));
}

/** What `syncFolder` needs of a repository whatever its index is. */
type Content = Omit<Repository<never>, 'readIndex' | 'choose'>;

/** The server has what it had: only files that were touched here are looked at. */
async function syncUnchanged(
  session: SyncSession,
  repository: Content,
  record: SyncRecord,
  options: SyncFolderOptions,
): Promise<SyncResult> {
  const outcome = await fetchPackages(session, repository.fetcher, record.packages, record, fetchOptionsOf(repository, options));
  const removed = await removeGone(session, repository, outcome.present, record.metadata);
  const now = Date.now();
  const next = { ...record, syncedAt: now, boot: bootId(), signed: repository.signed, packages: [...outcome.present] };
  const changed = outcome.fetched.packages > 0 || removed.length > 0;
  await finish(session, changed ? { ...next, changedAt: now, ...settledOf(session) } : next, outcome);
  return resultOf(session, outcome, removed, record);
}

function fetchOptionsOf({ openKeys }: Content, { verify, siblings, onProgress }: SyncFolderOptions): FetchOptions {
  return { verify, siblings, onProgress, openKeys };
}

interface Changed {
  readonly result: SyncResult;
  readonly record: SyncRecord;
  readonly problems: readonly string[];
}

async function syncChanged<I extends { readonly known: KnownIndex }>(
  session: SyncSession,
  repository: Repository<I>,
  index: I,
  options: SyncFolderOptions,
): Promise<Changed> {
  const { section, folder, signal } = session;
  const { record, onProgress } = options;
  onProgress({ stage: 'metadata', done: 0, total: 0, bytes: 0, totalBytes: 0 });
  const { wanted, writeMetadata } = await repository.choose(index);
  const outcome = await fetchPackages(session, repository.fetcher, wanted, record, fetchOptionsOf(repository, options));
  onProgress({ stage: 'finishing', done: 0, total: 0, bytes: 0, totalBytes: 0 });
  const files = await writeMetadata(outcome.present);
  const facts = await factsOfAll(folder.path, files, signal);
  const known = files.map((path, at) => ({ path, size: facts[at]?.size ?? 0, mtimeMs: facts[at]?.mtimeMs ?? 0 }));
  const removed = await removeGone(session, repository, outcome.present, known);
  const now = Date.now();
  const next: SyncRecord = {
    version: 1,
    id: section.id,
    name: section.name,
    source: repository.source,
    definition: folder.definition,
    syncedAt: now,
    changedAt: now,
    index: index.known,
    ...settledOf(session),
    signed: repository.signed,
    packages: [...outcome.present],
    metadata: known,
  };
  await finish(session, next, outcome);
  return { result: resultOf(session, outcome, removed, record), record: next, problems: outcome.problems };
}

/** Linux writes what is in memory within a minute. */
const SETTLING_MS = 2 * 60_000;

function settledOf({ began }: SyncSession): Pick<SyncRecord, 'boot' | 'settledBefore'> {
  return { boot: bootId(), settledBefore: began - SETTLING_MS };
}

/** Deletes packages that are not wanted any more, and other metadata. Returns the packages. */
async function removeGone(
  { folder }: SyncSession,
  { partOf }: Content,
  present: readonly KnownPackage[],
  metadata: readonly KnownFile[],
): Promise<readonly string[]> {
  const wanted = new Set([...present, ...metadata].map(({ path }) => path));
  const removed = await removeFiles(folder.path, (path) => partOf(path) !== undefined && !wanted.has(path));
  return removed.filter((path) => partOf(path) === 'package');
}

/**
 * Writes the record, the last of all. With a problem it says that nothing of the index is known, so that the next synchronisation looks at
 * everything again.
 */
async function finish({ folder }: SyncSession, record: SyncRecord, outcome: PackagesOutcome): Promise<void> {
  const { date } = record.index;
  await writeRecord(folder.record, outcome.problems.length === 0 ? record : { ...record, index: { sha256: '', date } });
  // Whatever else is there was left by this or a killed synchronisation.
  const own = [folder.lock, folder.record, folder.users, folder.lastSync];
  const kept = new Set([...own, ...(outcome.problems.length === 0 ? [] : [join(folder.state, 'parts')])]);
  for (const name of await readdir(folder.state)) {
    const path = join(folder.state, name);
    if (!kept.has(path)) await rm(path, { recursive: true, force: true });
  }
}

function resultOf(
  { section, folder }: SyncSession,
  { present, fetched, problems }: PackagesOutcome,
  removed: readonly string[],
  before: SyncRecord | undefined,
): SyncResult {
  const known = new Set(before?.packages.map(({ path }) => path));
  return {
    id: section.id,
    path: folder.path,
    packages: present.length,
    bytes: present.reduce((sum, { size }) => sum + size, 0),
    fetched,
    kept: present.length - fetched.packages,
    added: present.filter(({ path }) => !known.has(path)).map(({ name }) => name),
    removed,
    problems,
  };
}
