import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { bootId } from '../../core/process-identity.ts';
import { type Fetcher, openFetcher } from '../fetch/fetcher.ts';
import { factsOfAll, isUnchanged, removeFiles } from '../store/folder-files.ts';
import { type KnownFile, type KnownPackage, type SyncRecord, writeRecord } from '../store/record.ts';
import type { SyncProgress, SyncResult } from '../sync-result.ts';
import { choosePackages } from './choose.ts';
import { fetchMetadata, metadataOf, primaryOf } from './fetch-metadata.ts';
import { fetchPackages, type PackagesOutcome, type Siblings, type WantedPackage } from './fetch-packages.ts';
import { readModules } from './modules.ts';
import { type RpmPackage, shownPackage } from './package.ts';
import { readPrimary } from './primary.ts';
import { type Index, readIndex } from './read-index.ts';
import type { SyncSession } from './session.ts';
import { readSources, type Sources } from './sources.ts';
import { unpackMetadata } from './unpack-metadata.ts';
import { type FetchedMetadata, writeMetadata } from './write-metadata.ts';

export interface SyncRpmOptions {
  /** Of the last synchronisation into this folder. */
  readonly record: SyncRecord | undefined;
  readonly siblings: Siblings;
  /** Compare every file by its checksum, also those that nobody touched. */
  readonly verify: boolean;
  readonly onProgress: (progress: SyncProgress) => void;
}

/** A repository may be changed on its servers while it is fetched; then it is read anew, this often. */
const ROUNDS = 4;

/**
 * Makes the session's folder hold what its repository has: of each package the newest, as `choose.ts` says, and metadata that lists just
 * these. Interrupted at any moment, the next call goes on from there. The caller holds the folder's lock. Errors as `fetcher.ts`, and
 * `remote.invalid` for damaged or unsigned metadata.
 */
export async function syncRpm(session: SyncSession, options: SyncRpmOptions): Promise<SyncResult> {
  const { section, folder, log } = session;
  if (section.gpgCheck && section.gpgKeys.length === 0) {
    log.warn(`The repository ${section.id} has gpgcheck but no gpgkey: the signatures of its packages are not checked.`);
  }
  const sources = await readSources(session);
  const fetcher = await openFetcher({
    connections: session.connections,
    mirrors: sources.mirrors,
    parts: join(folder.state, 'parts'),
    patience: session.patience,
  });
  let record = options.record;
  for (let round = 1; ; round++) {
    const whole = !options.verify && record !== undefined && (await isWhole(session, record.metadata)) ? record.index : undefined;
    const index = await readIndex(session, sources, whole);
    if (index === 'unchanged' && record !== undefined) return await syncUnchanged(session, fetcher, record, options);
    if (index === 'unchanged') throw new EngineError('internal', `The index of ${section.id} is unchanged, but there is no record of it.`);
    try {
      const outcome = await syncChanged(session, sources, fetcher, index, { ...options, record });
      if (outcome.problems.length === 0 || round === ROUNDS || !(await hasMovedOn(session, sources, index))) return outcome.result;
      record = outcome.record;
    } catch (error) {
      const passing = error instanceof EngineError && ['remote.invalid', 'remote.hash-mismatch'].includes(error.code);
      if (!passing || round === ROUNDS || !(await hasMovedOn(session, sources, index))) throw error;
      log.debug(`${error.message} The repository has changed meanwhile; reading it anew.`);
    }
  }
}

async function hasMovedOn(session: SyncSession, sources: Sources, { sha256, etag, modified }: Index): Promise<boolean> {
  const now = await readIndex(session, sources, { sha256, etag, modified });
  return now !== 'unchanged';
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

/** The server has what it had: only files that were touched here are looked at. */
async function syncUnchanged(session: SyncSession, fetcher: Fetcher, record: SyncRecord, options: SyncRpmOptions): Promise<SyncResult> {
  const outcome = await fetchPackages(session, fetcher, record.packages, record, options);
  const removed = await removeGone(session, outcome.present, record.metadata);
  const now = Date.now();
  const next = { ...record, syncedAt: now, boot: bootId(), signed: isSigned(session), packages: [...outcome.present] };
  const changed = outcome.fetched.packages > 0 || removed.length > 0;
  await finish(session, changed ? { ...next, changedAt: now, ...settledOf(session) } : next, outcome);
  return resultOf(session, outcome, removed, record);
}

interface Changed {
  readonly result: SyncResult;
  readonly record: SyncRecord;
  readonly problems: readonly string[];
}

async function syncChanged(
  session: SyncSession,
  sources: Sources,
  fetcher: Fetcher,
  index: Index,
  options: SyncRpmOptions,
): Promise<Changed> {
  const { section, folder, signal } = session;
  const { record, onProgress } = options;
  onProgress({ stage: 'metadata', done: 0, total: 0, bytes: 0, totalBytes: 0 });
  const metadata = await fetchMetadata(session, fetcher, index.repomd);
  const all = await readAll(session, metadata);
  const chosen = choosePackages(all, { ...section, modules: await modulesOf(session, metadata) });
  const outcome = await fetchPackages(session, fetcher, chosen.map(wantedOf), record, options);
  onProgress({ stage: 'finishing', done: 0, total: 0, bytes: 0, totalBytes: 0 });
  const ids = new Set(outcome.present.map(({ hex }) => hex));
  const complete = ids.size === all.length;
  const names = await writeMetadata(folder.path, metadata, complete ? undefined : ids, index.repomd.revision, signal);
  const files = names.map((name) => `repodata/${name}`);
  const facts = await factsOfAll(folder.path, files, signal);
  const known = files.map((path, at) => ({ path, size: facts[at]?.size ?? 0, mtimeMs: facts[at]?.mtimeMs ?? 0 }));
  const removed = await removeGone(session, outcome.present, known);
  const now = Date.now();
  const next: SyncRecord = {
    version: 1,
    id: section.id,
    name: section.name,
    source: section.baseurls[0] ?? section.metalink ?? section.mirrorlist ?? sources.mirrors.best().url,
    definition: folder.definition,
    syncedAt: now,
    changedAt: now,
    index: { sha256: index.sha256, etag: index.etag, modified: index.modified },
    ...settledOf(session),
    signed: isSigned(session),
    packages: [...outcome.present],
    metadata: known,
  };
  await finish(session, next, outcome);
  return { result: resultOf(session, outcome, removed, record), record: next, problems: outcome.problems };
}

async function readAll({ signal }: SyncSession, metadata: readonly FetchedMetadata[]): Promise<readonly RpmPackage[]> {
  const { path, file } = primaryOf(metadata);
  return await readPrimary(await unpackMetadata(path, file.location, signal), file.location);
}

async function modulesOf({ signal }: SyncSession, metadata: readonly FetchedMetadata[]) {
  const found = metadataOf(metadata, 'modules');
  return found === undefined ? [] : await readModules(await unpackMetadata(found.path, found.file.location, signal), found.file.location);
}

function wantedOf(one: RpmPackage): WantedPackage {
  const { checksum, location, base, size } = one;
  return { path: location, size, name: shownPackage(one), ...checksum, ...(base === undefined ? {} : { base }) };
}

/** Linux writes what is in memory within a minute. */
const SETTLING_MS = 2 * 60_000;

function settledOf({ began }: SyncSession): Pick<SyncRecord, 'boot' | 'settledBefore'> {
  return { boot: bootId(), settledBefore: began - SETTLING_MS };
}

function isSigned({ section }: SyncSession): boolean {
  return section.gpgCheck && section.gpgKeys.length > 0;
}

/** Deletes packages that are not wanted any more, and other metadata. */
async function removeGone(
  { folder }: SyncSession,
  present: readonly KnownPackage[],
  metadata: readonly KnownFile[],
): Promise<readonly string[]> {
  const wanted = new Set([...present, ...metadata].map(({ path }) => path));
  const removed = await removeFiles(folder.path, (path) => {
    const ours = path.endsWith('.rpm') || path.startsWith('repodata/');
    return ours && !wanted.has(path);
  });
  return removed.filter((path) => path.endsWith('.rpm'));
}

/**
 * Writes the record, the last of all. With a problem it says that nothing of the index is known, so that the next synchronisation looks at
 * everything again.
 */
async function finish({ folder }: SyncSession, record: SyncRecord, outcome: PackagesOutcome): Promise<void> {
  await writeRecord(folder.record, outcome.problems.length === 0 ? record : { ...record, index: { sha256: '' } });
  // Whatever else is there was left by this or a killed synchronisation.
  const kept = new Set([folder.lock, folder.record, folder.users, ...(outcome.problems.length === 0 ? [] : [join(folder.state, 'parts')])]);
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
