import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, toEngineError } from '../../../src-shared/errors.ts';
import type { OperationKind } from '../../../src-shared/operation.ts';
import type { RepoStoreState, StoredRepoState } from '../../../src-shared/repos/repo-store-state.ts';
import type { Log } from '../core/log.ts';
import { type Operation, type Step, startOperation } from '../core/operation.ts';
import { createPauseGate, type PauseGate } from '../core/pause.ts';
import type { ActionOptions, Repos } from '../engine.ts';
import type { SyncHooks } from '../recipes/repos/sync-wanted.ts';
import { distroOfId } from '../repos/definition/variables.ts';
import { folderNamed, STATE } from '../repos/store/folder.ts';
import type { KnownRecords, StoredRepo } from '../repos/store/stored.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { watchState } from './watched-state.ts';

export interface RepoStoreOptions {
  readonly context: RecipeContext;
  readonly log: Log;
  /** Called with each changed value, only after `begin`. */
  readonly publish: (state: RepoStoreState) => void;
  /** Makes an operation visible to every front door. */
  readonly register: (operation: Operation) => void;
  /** Name of the environment at a path. */
  readonly nameOf: (path: string) => string;
  /** Its id, if it is watched. */
  readonly idOf: (path: string) => string | undefined;
}

/** The shared store of package repositories, which also keeps its published value up to date. */
export interface LiveRepoStore extends Disposable {
  readonly calls: Pick<Repos, 'sync' | 'syncStored' | 'stored' | 'clean' | 'remove' | 'changes' | 'pathOf'>;
  /** Publishes the current value, and from now on each change. */
  begin(): Promise<void>;
  /** Schedules a refresh: environments were added or removed. */
  touch(): void;
}

/** A program that is killed leaves no sign that could be watched. */
const ELSEWHERE_MS = 2000;

/** The contract's calls about the store. Reads nothing until it is called. */
export function createRepoStore({ context, log, publish, register, nameOf, idOf }: RepoStoreOptions): LiveRepoStore {
  /** Name of a folder → the operation that works on it. */
  const running = new Map<string, Operation>();
  const known: KnownRecords = new Map();
  let published: RepoStoreState | undefined;
  let timer: NodeJS.Timeout | undefined;

  const watched = watchState<RepoStoreState>({
    what: 'the store of package repositories',
    log,
    async read() {
      const state = await read().catch(unreadable);
      clearTimeout(timer);
      if (state.repos.some((repo) => repo.elsewhere !== null)) timer = setTimeout(() => watched.touch(), ELSEWHERE_MS).unref();
      return state;
    },
    publish(state) {
      published = state;
      publish(state);
    },
    foldersOf: ({ store, repos }) => [store, join(store, STATE), ...repos.map(({ name }) => folderNamed(store, name).state)],
    // Packages that arrive say nothing; the record, the lock and what was last done do.
    ignores: (name) => name.endsWith('.tmp'),
  });

  async function read(): Promise<RepoStoreState> {
    const [{ repoStorePath }, { storedRepos }] = await Promise.all([
      import('../recipes/repos/store.ts'),
      import('../repos/store/stored.ts'),
    ]);
    const store = await repoStorePath(context.settings);
    const repos = await storedRepos(store, known);
    return {
      store,
      problem: null,
      size: repos.reduce((sum, { bytes }) => sum + bytes, 0),
      unused: repos.reduce((sum, { bytes, users }) => sum + (users.length === 0 ? bytes : 0), 0),
      repos: repos.map((repo) => stateOf(repo, running.get(repo.name)?.id ?? null, nameOf)),
    };
  }

  /** The state when reading fails: the last known value, and why it may be wrong. */
  function unreadable(error: unknown): RepoStoreState {
    const problem = toEngineError(error).message;
    log.warn(`The store of package repositories cannot be read: ${problem}`);
    return { ...(published ?? { store: context.settings.reposyncDir ?? '', size: 0, unused: 0, repos: [] }), problem };
  }

  function launch<T>(
    job: {
      readonly kind: OperationKind;
      readonly label: string;
      /** Of the environment that it is for. */
      readonly path?: string | undefined;
      readonly gate?: PauseGate;
      readonly action: ActionOptions | undefined;
    },
    work: (step: Step, own: () => Operation) => Promise<T>,
  ): Operation<T> {
    const { kind, label, path, gate, action } = job;
    const prefix = path === undefined ? undefined : idOf(path);
    const operation: Operation<T> = startOperation(
      {
        kind,
        label,
        signal: action?.signal,
        ...(prefix === undefined ? {} : { prefix }),
        ...(gate === undefined ? {} : { gate }),
        // A caller that watches events prints them itself.
        ...(action?.onEvent === undefined ? { log } : { onEvent: action.onEvent }),
      },
      async (step) => {
        try {
          return await work(step, () => operation as Operation);
        } finally {
          for (const [name, owner] of running) if (owner === operation) running.delete(name);
          watched.touch();
        }
      },
    );
    register(operation as Operation);
    return operation;
  }

  function launchSync<T>(
    { label, path }: { readonly label: string; readonly path?: string | undefined },
    action: ActionOptions | undefined,
    work: (step: Step, hooks: SyncHooks) => Promise<T>,
  ): Operation<T> {
    const gate = createPauseGate();
    return launch({ kind: 'sync', label, path, gate, action }, async (step, own) => {
      const onFolder = (name: string): void => {
        running.set(name, own());
        watched.touch();
      };
      return await work(step, { gate, onFolder });
    });
  }

  async function pathOf(name: string): Promise<string> {
    const [{ repoStorePath }, { hasStored }] = await Promise.all([import('../recipes/repos/store.ts'), import('../repos/store/stored.ts')]);
    const store = await repoStorePath(context.settings);
    // The name may come from a page: it must not lead out of the store.
    if (await hasStored(store, name)) return folderNamed(store, name).path;
    throw new EngineError('input.invalid', `The store ${store} has no package repository ${name}.`);
  }

  return {
    calls: {
      pathOf,
      sync: (prefix, request, action) =>
        launchSync({ label: 'Synchronise package repositories', path: prefix }, action, async (step, hooks) => {
          const { syncRepos } = await import('../recipes/repos/sync.ts');
          return await syncRepos(context, prefix, request, step, hooks);
        }),
      syncStored: (request, action) =>
        launchSync({ label: labelOf(request.names) }, action, async (step, hooks) => {
          const { syncStored } = await import('../recipes/repos/sync-stored.ts');
          return await syncStored(context, request, step, hooks);
        }),
      async stored() {
        const { listStoredRepos } = await import('../recipes/repos/store.ts');
        return await listStoredRepos(context.settings);
      },
      async clean(request, signal) {
        const { cleanStoredRepos } = await import('../recipes/repos/store.ts');
        return await cleanStoredRepos(context.settings, request, signal);
      },
      remove: (names, action) =>
        launch({ kind: 'evict', label: `Remove ${countOf(names)} from the store`, action }, async (step, own) => {
          for (const name of names) running.set(name, own());
          watched.touch();
          const { cleanStoredRepos } = await import('../recipes/repos/store.ts');
          return await cleanStoredRepos(context.settings, { names, dryRun: false }, step.signal);
        }),
      async changes(name) {
        const { readLastSync } = await import('../repos/store/last-sync.ts');
        const { repoStorePath } = await import('../recipes/repos/store.ts');
        await pathOf(name);
        const last = await readLastSync(folderNamed(await repoStorePath(context.settings), name));
        return { ended: last?.ended ?? null, change: last?.change ?? null };
      },
    },
    begin: async () => await watched.begin(),
    touch: () => watched.touch(),
    [Symbol.dispose]() {
      clearTimeout(timer);
      watched[Symbol.dispose]();
    },
  };
}

function labelOf(names: readonly string[]): string {
  return names.length === 0 ? 'Synchronise all package repositories' : `Synchronise ${countOf(names)}`;
}

function countOf(names: readonly string[]): string {
  const [name] = names;
  return names.length === 1 && name !== undefined ? name : `${names.length} package repositories`;
}

function stateOf(repo: StoredRepo, operation: string | null, nameOf: (path: string) => string): StoredRepoState {
  const { name, id, path, source, packages, bytes, syncedAt, users, lastSync, holder } = repo;
  const { origin, began = 0, ended = null, change = null } = lastSync ?? {};
  return {
    name,
    id,
    path,
    kind: origin?.kind ?? null,
    distro: distroOfId(id),
    source: origin?.address ?? source,
    packages,
    size: bytes,
    syncedAt,
    origin: origin === undefined ? null : { file: origin.file, section: origin.section, missing: !existsSync(origin.file) },
    last:
      ended === null
        ? null
        : {
            ...ended,
            error: ended.error === null ? null : { message: ended.error.message, hint: ended.error.hint ?? null },
            problems: ended.problems.count,
          },
    interrupted: holder === null && operation === null && began > (ended?.at ?? 0),
    change:
      change === null ? null : { at: change.at, added: change.added.count, removed: change.removed.count, bytes: change.fetched.bytes },
    usedBy: users.map((user) => ({ name: nameOf(user), path: user })),
    operation,
    elsewhere: operation === null ? holder : null,
  };
}
