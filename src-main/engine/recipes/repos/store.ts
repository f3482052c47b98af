import { resolve } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import { writableDir } from '../../data-dir.ts';
import { removeStored, type StoredRepo, storedRepos } from '../../repos/store/stored.ts';
import type { CleanRequest } from './repo-request.ts';

const LAGO_REPOSYNC = '/var/lib/lago/reposync';

/**
 * The store of package repositories, as an absolute path, which rpm insists on; if that is Lago's machine-wide default and this user cannot
 * write it, the user's own.
 */
export async function repoStorePath({ reposyncDir = LAGO_REPOSYNC }: Pick<EngineSettings, 'reposyncDir'>): Promise<string> {
  return resolve(await writableDir(reposyncDir, LAGO_REPOSYNC, 'reposync'));
}

/** The synchronised repositories with their users. */
export async function listStoredRepos(settings: Pick<EngineSettings, 'reposyncDir'>): Promise<readonly StoredRepo[]> {
  return await storedRepos(await repoStorePath(settings));
}

/**
 * Removes repositories from the store, and returns them; see `removeStored` for its errors. Without names all that no environment uses, but
 * for those that are being synchronised at the moment.
 */
export async function cleanStoredRepos(
  settings: Pick<EngineSettings, 'reposyncDir'>,
  { names, dryRun }: CleanRequest,
  signal?: AbortSignal,
): Promise<readonly StoredRepo[]> {
  const store = await repoStorePath(settings);
  const all = await storedRepos(store);
  const unused = all.filter(({ users }) => users.length === 0).map(({ name }) => name);
  const chosen = names.length === 0 ? unused : names;
  if (dryRun) return all.filter(({ name, users }) => chosen.includes(name) && users.length === 0);
  const removed: StoredRepo[] = [];
  for (const name of chosen) {
    try {
      removed.push(await removeStored(store, name, signal));
    } catch (error) {
      // In use now, or removed by another process.
      const isOvertaken = error instanceof EngineError && ['conflict.locked', 'input.invalid'].includes(error.code);
      if (names.length > 0 || !isOvertaken) throw error;
    }
  }
  return removed;
}
