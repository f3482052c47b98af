import { EngineError } from '../../../../src-shared/errors.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import { takeLock } from '../../core/lock.ts';
import type { Step } from '../../core/operation.ts';
import { readRepoFile } from '../../repos/definition/read-repo-file.ts';
import type { RepoSection } from '../../repos/definition/section.ts';
import { folderNamed, folderOf } from '../../repos/store/folder.ts';
import { noteFailure } from '../../repos/store/last-sync.ts';
import { type StoredRepo, storedRepos } from '../../repos/store/stored.ts';
import type { SyncResult } from '../../repos/sync-result.ts';
import type { StoredSyncRequest } from './repo-request.ts';
import { repoStorePath } from './store.ts';
import { type SyncHooks, syncWanted } from './sync-wanted.ts';

/**
 * Synchronises repositories of the store once more, as the files say where they are defined; see `syncWanted`. `input.invalid` for a name that
 * the store does not have, and for one that is not defined any more as it was; `input.missing-file` when its file is gone.
 */
export async function syncStored(
  { settings }: { readonly settings: Pick<EngineSettings, 'reposyncDir'> },
  { names, verify = false }: StoredSyncRequest,
  step: Step,
  hooks: SyncHooks = {},
): Promise<readonly SyncResult[]> {
  const store = await repoStorePath(settings);
  const all = await storedRepos(store);
  const chosen = names.length === 0 ? all : names.map((name) => named(name, all, store));
  for (const { name } of chosen) hooks.onFolder?.(name);
  const wanted = chosen.map((repo) => ({
    id: repo.id,
    async find(signal: AbortSignal) {
      try {
        const section = await sectionOf(repo, store);
        const { distros, arch } = repo.lastSync?.origin ?? { distros: [] };
        return { section, options: { variables: { distros, arch } } };
      } catch (error) {
        await note(repo, store, error, signal);
        throw error;
      }
    },
  }));
  return await syncWanted(wanted, { ...hooks, store, verify }, step);
}

function named(name: string, all: readonly StoredRepo[], store: string): StoredRepo {
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new EngineError('input.invalid', `The store ${store} has no package repository ${name}.`, {
    hint: '"lago repo list" shows those that it has.',
  });
}

/** The section that a stored repository was synchronised from, as its file has it now. */
async function sectionOf({ name, lastSync }: StoredRepo, store: string): Promise<RepoSection> {
  if (lastSync === null) {
    throw new EngineError('input.invalid', `It is not known which file defines the package repository ${name}.`, {
      hint: 'Synchronise it once from its .repo file or apt sources; after that its file is known.',
    });
  }
  const { file, section: id, distros, arch } = lastSync.origin;
  const { sections } = await readRepoFile(file, { distros, arch }).catch((error: unknown) => {
    if (!(error instanceof EngineError) || error.code !== 'input.missing-file') throw error;
    throw new EngineError('input.missing-file', `The file ${file}, which defines the package repository ${name}, is gone.`, {
      cause: error,
      hint: 'Put it back, or synchronise from another file that has this section.',
    });
  });
  const section = sections.find((one) => one.id === id);
  if (section === undefined) {
    throw new EngineError('input.invalid', `The file ${file} has no section ${id} any more.`, {
      hint: 'Synchronise from the file that has it now.',
    });
  }
  if ((await folderOf(store, section)).name !== name) {
    throw new EngineError(
      'input.invalid',
      `The section ${id} of ${file} has other servers or filters than when ${name} was synchronised.`,
      {
        hint: 'Synchronise from the file: the section becomes a repository of its own in the store.',
      },
    );
  }
  return section;
}

/** Keeps why it could not begin with the repository, unless another program is just working on it. */
async function note({ name, lastSync }: StoredRepo, store: string, error: unknown, signal: AbortSignal): Promise<void> {
  if (lastSync === null) return;
  const folder = folderNamed(store, name);
  try {
    await using _lock = await takeLock(folder.lock, { signal, purpose: 'repo sync' });
    await noteFailure(folder, lastSync.origin, error);
  } catch (second) {
    if (!(second instanceof EngineError) || second.code !== 'conflict.locked') throw second;
  }
}
