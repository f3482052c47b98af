import { basename } from 'node:path';
import { EngineError, isCancelled, toEngineError, toWireError } from '../../../../src-shared/errors.ts';
import { CHANGED_NAMES, LastSync, type NamedPackages, type RepoOrigin } from '../../../../src-shared/repos/last-sync.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import type { SyncResult } from '../sync-result.ts';
import type { RepoFolder } from './folder.ts';

/** Problems that are kept. */
const PROBLEMS = 100;

/** What is known of the last synchronisation; undefined for a repository that was never synchronised. A damaged file counts as none. */
export async function readLastSync({ lastSync }: RepoFolder): Promise<LastSync | undefined> {
  return await readJson(lastSync, LastSync).catch((error: unknown) => {
    if (error instanceof EngineError && error.code === 'input.invalid') return undefined;
    throw error;
  });
}

/**
 * Synchronises by `work`, and keeps with the repository that it began, and how it ended, for every program that looks at the store. The
 * caller holds the repository's lock.
 */
export async function keepingLastSync(
  folder: RepoFolder,
  origin: RepoOrigin,
  log: Log,
  work: () => Promise<SyncResult>,
): Promise<SyncResult> {
  const before = (await readLastSync(folder)) ?? { ended: null, change: null };
  const begun: LastSync = { origin, began: Date.now(), ended: before.ended, change: before.change };
  await writeJson(folder.lastSync, begun);
  let result: SyncResult;
  try {
    result = await work();
  } catch (error) {
    try {
      await writeJson(folder.lastSync, withFailure(begun, error));
    } catch (second) {
      log.warn(`What went wrong is not kept with ${origin.section}: ${(second as Error).message}`);
    }
    throw error;
  }
  await writeJson(folder.lastSync, withResult(begun, result));
  return result;
}

/** Keeps with a repository why its synchronisation could not begin. The caller holds its lock. */
export async function noteFailure(folder: RepoFolder, origin: RepoOrigin, error: unknown): Promise<void> {
  const before = await readLastSync(folder);
  const begun: LastSync = { origin, began: Date.now(), ended: before?.ended ?? null, change: before?.change ?? null };
  await writeJson(folder.lastSync, withFailure(begun, error));
}

function withFailure(begun: LastSync, error: unknown): LastSync {
  const cancelled = isCancelled(error);
  return {
    ...begun,
    ended: {
      at: Date.now(),
      outcome: cancelled ? 'cancelled' : 'failed',
      fetched: { packages: 0, bytes: 0 },
      error: cancelled ? null : toWireError(toEngineError(error)),
      problems: { count: 0, first: [] },
    },
  };
}

function withResult(begun: LastSync, { fetched, added, removed, problems }: SyncResult): LastSync {
  const at = Date.now();
  const gone = removed.map((path) => basename(path).replace(/\.(?:rpm|deb)$/, ''));
  return {
    ...begun,
    ended: {
      at,
      outcome: problems.length === 0 ? 'complete' : 'incomplete',
      fetched,
      error: null,
      problems: { count: problems.length, first: problems.slice(0, PROBLEMS) },
    },
    ...(added.length + removed.length === 0 ? {} : { change: { at, added: named(added), removed: named(gone), fetched } }),
  };
}

function named(names: readonly string[]): NamedPackages {
  return { count: names.length, names: names.toSorted().slice(0, CHANGED_NAMES) };
}
