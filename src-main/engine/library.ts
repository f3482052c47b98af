import { basename } from 'node:path';
import { EngineError, toEngineError } from '../../src-shared/errors.ts';
import type { OperationKind } from '../../src-shared/operation.ts';
import type { LibraryState, TemplateRepositoryState, TemplateState, TemplateVersionState } from '../../src-shared/state.ts';
import type { Log } from './core/log.ts';
import { type Operation, type Step, startOperation } from './core/operation.ts';
import { createPauseGate, type PauseGate } from './core/pause.ts';
import type { KnownRepository } from './create/templates.ts';
import type { ActionOptions, Library } from './engine.ts';
import { watchState } from './live/watched-state.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import type { TemplateRepository, TemplateVersion } from './template/repository.ts';
import type { TemplateStore } from './template/store.ts';
import type { StoredUsage } from './template/store-usage.ts';

export interface LibraryOptions {
  readonly context: RecipeContext;
  readonly log: Log;
  /** Called with each changed value, only after `begin`. */
  readonly publish: (library: LibraryState) => void;
  /** Makes an operation visible to every front door. */
  readonly register: (operation: Operation) => void;
  /** Name of the environment at a path. */
  readonly nameOf: (path: string) => string;
}

/** The library, which also keeps its published value up to date. */
export interface LiveLibrary extends Library, Disposable {
  /** Publishes the current value, and from now on each change. */
  begin(): Promise<void>;
  /** Schedules a refresh: environments were added or removed. */
  touch(): void;
}

/** How long a configured repository from a URL is cached. */
const REMOTE_KEPT_MS = 10 * 60_000;
/** How long its failure is cached, so that not every change of the store causes a request. */
const REMOTE_PROBLEM_KEPT_MS = 60_000;

/** Repositories and store for the contract's `library` calls. Reads nothing until it is called. */
export function createLibrary(options: LibraryOptions): LiveLibrary {
  const { context, log, register, nameOf } = options;
  const { settings, resourcesDir } = context;
  /** Full name → the operation working on it. */
  const running = new Map<string, Operation>();
  let remote: { readonly at: number; readonly known: KnownRepository } | undefined;
  let published: LibraryState | undefined;

  async function openStoreNow(): Promise<TemplateStore> {
    const [{ openStore }, { storePath }] = await Promise.all([import('./template/store.ts'), import('./create/templates.ts')]);
    return openStore(await storePath(settings));
  }

  /** `mended`: a problem with the configured URL may be fixed, so ask again. */
  async function repositories(signal: AbortSignal | undefined, mended: boolean): Promise<readonly KnownRepository[]> {
    const { knownRepositories } = await import('./create/templates.ts');
    const kept = remote?.known;
    const keptFor = kept?.problem === undefined ? REMOTE_KEPT_MS : mended ? 0 : REMOTE_PROBLEM_KEPT_MS;
    if (kept !== undefined && Date.now() - (remote?.at ?? 0) < keptFor) {
      const rest = await knownRepositories({ ...settings, templateRepoPath: undefined }, resourcesDir, log, signal);
      return [kept, ...rest.filter((one) => one.kind === 'added').map((one) => ({ ...one, searched: false }))];
    }
    const known = await knownRepositories(settings, resourcesDir, log, signal);
    const [first] = known;
    if (first?.kind === 'configured' && /^https?:/i.test(first.location)) remote = { at: Date.now(), known: first };
    return known;
  }

  async function state(signal?: AbortSignal): Promise<LibraryState> {
    const [store, { repositoriesPath }] = await Promise.all([openStoreNow(), import('./create/templates.ts')]);
    const [known, usage] = await Promise.all([repositories(signal, false), store.usage()]);
    const operationOf = (fullName: string): string | null => running.get(fullName)?.id ?? null;
    return {
      store: store.path,
      problem: null,
      size: usage.reduce((sum, one) => sum + one.size, 0),
      unused: usage.reduce((sum, one) => sum + (one.users.length === 0 ? one.size : 0), 0),
      repositoriesDir: await repositoriesPath(settings),
      repositories: known.map(repositoryState),
      templates: templateStates(
        known.flatMap((one) => one.repository ?? []),
        usage,
        { operationOf, nameOf },
      ),
    };
  }

  /** The state when reading fails: the last known value, and why it may be wrong. */
  async function unreadable(error: unknown): Promise<LibraryState> {
    const problem = toEngineError(error).message;
    if (published !== undefined) return { ...published, problem };
    const { repositoriesPath, storePath } = await import('./create/templates.ts');
    const [store, repositoriesDir] = await Promise.all([storePath(settings), repositoriesPath(settings)]);
    return { store, problem, size: 0, unused: 0, repositoriesDir, repositories: [], templates: [] };
  }

  const watched = watchState<LibraryState>({
    what: 'the template library',
    log,
    async read() {
      const next = await state().catch(unreadable);
      if (next.problem !== null) log.warn(`The template library cannot be read: ${next.problem}`);
      return next;
    },
    publish(next) {
      published = next;
      options.publish(next);
    },
    foldersOf: ({ store, repositoriesDir }) => [store, repositoriesDir],
    // Downloads and clones write all the time.
    ignores: (name) => /\.(?:tmp|part|clone)$/.test(name),
  });
  const touch = (): void => watched.touch();

  interface Job {
    readonly kind: OperationKind;
    readonly label: string;
    /** The template row that shows the operation. */
    readonly template?: string;
    readonly gate?: PauseGate;
    readonly action: ActionOptions | undefined;
  }

  function launch<T>(job: Job, work: (step: Step) => Promise<T>): Operation<T> {
    const { kind, label, template, gate, action } = job;
    const operation = startOperation(
      {
        kind,
        label,
        signal: action?.signal,
        // A caller that watches events prints them itself.
        ...(action?.onEvent === undefined ? { log } : {}),
        ...(template === undefined ? {} : { template }),
        ...(gate === undefined ? {} : { gate }),
        ...(action?.onEvent === undefined ? {} : { onEvent: action.onEvent }),
      },
      async (step) => {
        try {
          return await work(step);
        } finally {
          for (const [name, owner] of running) if (owner === (operation as Operation)) running.delete(name);
          touch();
        }
      },
    );
    if (template !== undefined) running.set(template, operation as Operation);
    register(operation as Operation);
    touch();
    return operation;
  }

  /** The searched repositories, and the name and version that a text refers to. */
  async function meant(
    text: string,
    step: Step,
  ): Promise<{ readonly from: readonly TemplateRepository[]; readonly name: string; readonly version: string | undefined }> {
    const { searchedRepositories } = await import('./create/templates.ts');
    const known = await repositories(step.signal, true);
    const searched = known.some((one) => one.searched && one.repository !== undefined) ? searchedRepositories(known) : [];
    const all = known.flatMap((one) => one.repository ?? []);
    if (searched.some((repository) => repository.templates.has(text))) return { from: searched, name: text, version: undefined };
    for (const repository of all) {
      if (!text.startsWith(`${repository.name}:`)) continue;
      const same = all.filter((one) => one.name === repository.name);
      const split = splitVersion(text.slice(repository.name.length + 1), same);
      if (same.some((one) => one.templates.has(split.name))) return { from: same, ...split };
    }
    return { from: searched.length > 0 ? searched : searchedRepositories(known), ...splitVersion(text, searched) };
  }

  /** Its full name in the store; for TEMPLATE without a version, the newest one. */
  async function stored(text: string, store: TemplateStore): Promise<string> {
    const names = await store.list();
    if (names.includes(text)) return text;
    const { compareVersions } = await import('./template/vendor.ts');
    const found = names.filter((name) => {
      const { template, version } = splitFullName(name);
      return text === template || text === `${template}:${version}`;
    });
    const newest = found.toSorted((a, b) => compareVersions(splitFullName(a).version, splitFullName(b).version)).at(-1);
    if (newest !== undefined) return newest;
    throw new EngineError('template.missing', `The template ${text} is not in the store ${store.path}.`, {
      hint:
        names.length === 0
          ? 'The store is empty.'
          : `There are: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ` and ${names.length - 8} more` : ''}.`,
    });
  }

  return {
    state,
    touch,
    begin: async () => await watched.begin(),

    fetch(text, action) {
      const present = running.get(text);
      if (present?.state.kind === 'fetch' && present.state.status === 'running') return present as Operation<string>;
      const gate = createPauseGate();
      return launch({ kind: 'fetch', label: `Download template ${text}`, template: text, gate, action }, async (step) => {
        const [store, { pinTemplate }] = await Promise.all([openStoreNow(), import('./create/templates.ts')]);
        const { from, name, version } = await meant(text, step);
        const template: TemplateVersion = await pinTemplate(from, store, name, version, {
          signal: step.signal,
          log: step.log,
          orStored: false,
        });
        const own = running.get(text);
        if (own !== undefined && !running.has(template.fullName)) running.set(template.fullName, own);
        await step.step(`Download ${template.fullName}`, async ({ signal, log: stepLog, progress }) => {
          await store.fetch(template, { signal, log: stepLog, progress, gate });
        });
        return template.fullName;
      });
    },
    verify(text, action) {
      const gate = createPauseGate();
      return launch({ kind: 'verify', label: `Verify template ${text}`, template: text, gate, action }, async (step) => {
        const store = await openStoreNow();
        const fullName = await stored(text, store);
        return await step.step(`Verify ${fullName}`, async ({ signal, log: stepLog, progress }) => {
          return await store.verify(fullName, { signal, log: stepLog, progress, gate });
        });
      });
    },
    evict: (text, action) =>
      launch({ kind: 'evict', label: `Evict template ${text}`, template: text, action }, async (step) => {
        const store = await openStoreNow();
        return await store.evict(await stored(text, store), { signal: step.signal, log: step.log });
      }),
    evictUnused: (olderThanMs, action) =>
      launch({ kind: 'evict', label: 'Evict unused templates', action }, async (step) => {
        const store = await openStoreNow();
        const gone = await store.evictUnused(olderThanMs, { signal: step.signal, log: step.log });
        return gone.map(({ fullName, size }) => ({ fullName, size }));
      }),
    addRepository: (url, action) =>
      launch({ kind: 'repository', label: `Add template repository ${url}`, action }, async (step) => {
        const [{ addRepository }, { repositoriesPath }] = await Promise.all([
          import('./template/template-repos.ts'),
          import('./create/templates.ts'),
        ]);
        return await addRepository(url, await repositoriesPath(settings), { signal: step.signal });
      }),
    updateRepositories: (action) =>
      launch({ kind: 'repository', label: 'Update template repositories', action }, async (step) => {
        const [repos, { repositoriesPath }] = await Promise.all([import('./template/template-repos.ts'), import('./create/templates.ts')]);
        remote = undefined;
        const failures: unknown[] = [];
        const updated: { path: string; commit: string }[] = [];
        for (const path of await repos.findClones(await repositoriesPath(settings))) {
          step.log.info(`Updating ${path}`);
          try {
            updated.push({ path, commit: await repos.updateRepository(path, { signal: step.signal }) });
          } catch (error) {
            step.checkpoint();
            step.log.error((error as Error).message);
            failures.push(error);
          }
        }
        if (failures.length > 0) throw failures[0];
        return updated;
      }),

    build: (request, action) =>
      launch({ kind: 'build', label: `Build template ${request.name}`, action }, async (step) => {
        const { buildTemplate } = await import('./export/build-template.ts');
        return await buildTemplate(context, request, step);
      }),

    [Symbol.dispose]: () => watched[Symbol.dispose](),
  };
}

/** Names may contain colons: the known templates decide where the version begins. */
function splitVersion(text: string, from: readonly TemplateRepository[]): { readonly name: string; readonly version: string | undefined } {
  const at = text.lastIndexOf(':');
  if (at < 0 || from.some((repository) => repository.templates.has(text))) return { name: text, version: undefined };
  return { name: text.slice(0, at), version: text.slice(at + 1) };
}

function splitFullName(fullName: string): { readonly repository: string; readonly template: string; readonly version: string } {
  const first = fullName.indexOf(':');
  const last = fullName.lastIndexOf(':');
  if (first === last) return { repository: '', template: fullName.slice(0, first), version: fullName.slice(last + 1) };
  return { repository: fullName.slice(0, first), template: fullName.slice(first + 1, last), version: fullName.slice(last + 1) };
}

function repositoryState(known: KnownRepository): TemplateRepositoryState {
  return {
    name: known.repository?.name ?? basename(known.location),
    location: known.location,
    kind: known.kind,
    problem: known.problem?.message ?? null,
    templates: known.repository?.templates.size ?? 0,
  };
}

interface Lookups {
  readonly operationOf: (fullName: string) => string | null;
  readonly nameOf: (path: string) => string;
}

/** All templates in repositories or the store, one entry each, in the order of the repositories. */
function templateStates(repositories: readonly TemplateRepository[], usage: readonly StoredUsage[], lookups: Lookups): TemplateState[] {
  const rows = new Map<string, { readonly announced: Map<string, TemplateVersion>; readonly stored: Map<string, StoredUsage> }>();
  const row = (repository: string, template: string) => {
    const id = `${repository}:${template}`;
    const found = rows.get(id) ?? { announced: new Map<string, TemplateVersion>(), stored: new Map<string, StoredUsage>() };
    rows.set(id, found);
    return found;
  };
  for (const repository of repositories) {
    for (const [template, versions] of repository.templates) {
      for (const version of versions) row(repository.name, template).announced.set(version.version, version);
    }
  }
  for (const one of usage) {
    const { repository, template, version } = splitFullName(one.fullName);
    row(repository, template).stored.set(version, one);
  }
  return [...rows].map(([id, { announced, stored }]) => {
    const metadata = { ...[...announced.values()][0]?.metadata, ...[...stored.values()].at(-1)?.metadata };
    const text = (key: string): string | undefined => (typeof metadata[key] === 'string' ? metadata[key] : undefined);
    const name = id.slice(id.indexOf(':') + 1);
    const versions = [...new Set([...announced.keys(), ...stored.keys()])].map((version) =>
      versionState(id, version, announced.get(version), stored.get(version), lookups),
    );
    return {
      id,
      name,
      repository: id.slice(0, id.indexOf(':')),
      title: text('title') ?? name,
      distro: text('distro') ?? null,
      cloudInit: metadata['cloud-init'] === true,
      versions: versions.sort(newestFirst),
    };
  });
}

function versionState(
  id: string,
  version: string,
  announced: TemplateVersion | undefined,
  stored: StoredUsage | undefined,
  { operationOf, nameOf }: Lookups,
): TemplateVersionState {
  const fullName = stored?.fullName ?? `${id}:${version}`;
  const timestamp = announced?.timestamp ?? 0;
  return {
    fullName,
    version,
    moving: announced?.vendor !== undefined,
    cached: stored !== undefined,
    size: stored?.size ?? null,
    virtualSize: stored?.virtualSize ?? null,
    format: stored?.format ?? null,
    publishedAt: timestamp > 0 ? Math.round(timestamp * 1000) : null,
    usedAt: stored?.usedAt ?? null,
    usedBy: (stored?.users ?? []).map((path) => ({ name: nameOf(path), path })),
    from: announced?.url ?? null,
    operation: operationOf(fullName),
  };
}

function newestFirst(a: TemplateVersionState, b: TemplateVersionState): number {
  return (
    Number(b.moving) - Number(a.moving) ||
    (b.publishedAt ?? 0) - (a.publishedAt ?? 0) ||
    b.version.localeCompare(a.version, 'en', { numeric: true })
  );
}
