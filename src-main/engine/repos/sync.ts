import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepoOrigin } from '../../../src-shared/repos/last-sync.ts';
import { shownUrl } from '../core/download/shown-url.ts';
import { makeFolder } from '../core/files/make-folder.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';
import type { Log } from '../core/log.ts';
import type { PauseGate } from '../core/pause.ts';
import type { RepoSection } from './definition/section.ts';
import type { RepoVariables } from './definition/variables.ts';
import { openConnections } from './fetch/connections.ts';
import type { HostSlots } from './fetch/host-slots.ts';
import { findFolder, folderNamed, type RepoFolder, STATE } from './store/folder.ts';
import { keepingLastSync } from './store/last-sync.ts';
import { readRecord, readRecordAnew, type SyncRecord } from './store/record.ts';
import { addRepoUser, type RepoUser } from './store/stored.ts';
import type { SyncProgress, SyncResult } from './sync-result.ts';

export interface SyncOptions {
  /** Folder of all repositories. */
  readonly store: string;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: SyncProgress) => void) | undefined;
  /** Told the name of the folder in the store once it is known. */
  readonly onFolder?: ((name: string) => void) | undefined;
  /** While paused nothing is fetched; what has arrived is kept. */
  readonly gate?: PauseGate | undefined;
  /** What the section's variables stand for, kept with the repository so that it can be synchronised again. */
  readonly variables?: RepoVariables | undefined;
  /** Compare every file by its checksum, also those that nobody touched since. */
  readonly verify?: boolean;
  /** The environment that it is for: recorded as its user. */
  readonly user?: RepoUser | undefined;
  /** Limits requests to one server across all repositories that are synchronised at once. */
  readonly slots?: HostSlots;
  /** Where proxies are looked up (default: the process's environment). */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Pause before a server is tried again, doubled each time (default 500 ms). */
  readonly backOffMs?: number;
}

/** How long to wait for another process that synchronises the same repository; it tells that it is alive by holding the lock. */
const WAIT_MS = 24 * 3600 * 1000;

/**
 * Synchronises one repository into the store. Processes that want the same one share the work: the second waits, and finds it done. Killed
 * at any moment, the next call goes on from there; readers of the folder see a working repository at every moment. Errors: see `syncRpm`
 * and `syncDeb`, and `makeFolder`.
 */
export async function syncRepo(section: RepoSection, options: SyncOptions): Promise<SyncResult> {
  const { store, signal, log, onProgress = () => undefined } = options;
  const asked = Date.now();
  const { folder, known } = await findFolder(store, section);
  options.onFolder?.(folder.name);
  onProgress({ stage: 'waiting', done: 0, total: 0, bytes: 0, totalBytes: 0 });
  await using lock = await lockOf(folder, signal);
  const { record } = await readRecordAnew(folder.record, known);
  if (record !== undefined && record.definition !== folder.definition) {
    // Another process took this folder for its own definition between our look and the lock.
    await lock.release();
    return await syncRepo(section, options);
  }
  await makeFolder(folder.path);
  if (options.user !== undefined) await addRepoUser(folder, options.user);
  if (record !== undefined && record.syncedAt >= asked && record.index.sha256 !== '' && options.verify !== true) {
    log.debug(`${section.id} was synchronised meanwhile.`);
    return unchangedResult(section.id, folder.path, record.packages);
  }
  return await keepingLastSync(
    folder,
    originOf(section, options.variables),
    log,
    async () => await fetchAll(section, folder, record, options),
  );
}

function originOf(section: RepoSection, { distros, arch }: RepoVariables = { distros: [] }): RepoOrigin {
  const { kind, file, id } = section;
  const address = section.kind === 'rpm' ? (section.baseurls[0] ?? section.metalink ?? section.mirrorlist ?? '') : section.uri;
  return {
    kind,
    file,
    section: id,
    address: URL.canParse(address) ? shownUrl(new URL(address)) : '',
    distros: [...distros],
    ...(arch === undefined ? {} : { arch }),
  };
}

/** Synchronises into a folder whose lock is held. */
async function fetchAll(
  section: RepoSection,
  folder: RepoFolder,
  record: SyncRecord | undefined,
  options: SyncOptions,
): Promise<SyncResult> {
  const { store, signal, log, gate, onProgress = () => undefined } = options;
  const { siblingsOf } = await import('./packages/siblings.ts');
  using connections = await openConnections(section.connection, {
    servers: serversOf(section),
    maxConnections: section.maxConnections,
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const patience = { attempts: section.connection.retries, backOffMs: options.backOffMs, log, signal, gate };
  const session = { folder, connections, patience, began: Date.now(), log, signal };
  const siblings = siblingsOf(await siblingRecords(store, folder, section.id));
  const how = { record, siblings, verify: options.verify === true, onProgress };
  if (section.kind === 'rpm') return await (await import('./rpm/sync-rpm.ts')).syncRpm({ ...session, section }, how);
  return await (await import('./deb/sync-deb.ts')).syncDeb({ ...session, section }, how);
}

/** Those that its file names, and not the ones that these lead to. */
function serversOf(section: RepoSection): readonly string[] {
  return section.kind === 'deb' ? [section.uri] : [...section.baseurls, section.metalink ?? '', section.mirrorlist ?? ''];
}

async function lockOf({ state, lock }: RepoFolder, signal: AbortSignal | undefined): Promise<HeldLock> {
  for (;;) {
    await makeFolder(state);
    try {
      return await takeLock(lock, { waitMs: WAIT_MS, signal, purpose: 'repo sync' });
    } catch (error) {
      // It was removed from the store while this waited.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Other folders with the same id, whose packages are probably the same. */
async function siblingRecords(store: string, { name }: RepoFolder, id: string) {
  const others = (await readdir(join(store, STATE))).filter((one) => one !== name && (one === id || one.startsWith(`${id}~`)));
  const records = await Promise.all(
    others.map(async (one) => ({ folder: join(store, one), packages: (await readRecord(folderNamed(store, one).record))?.packages ?? [] })),
  );
  return records;
}

function unchangedResult(id: string, path: string, packages: readonly { readonly size: number }[]): SyncResult {
  return {
    id,
    path,
    packages: packages.length,
    bytes: packages.reduce((sum, { size }) => sum + size, 0),
    fetched: { packages: 0, bytes: 0 },
    kept: packages.length,
    added: [],
    removed: [],
    problems: [],
  };
}
