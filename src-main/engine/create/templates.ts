import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import type { Log } from '../core/log.ts';
import type { Step } from '../core/operation.ts';
import { writableDir } from '../data-dir.ts';
import type { TemplateFound, TemplateMissing } from '../plan/plan-context.ts';
import {
  builtInRepositories,
  findRepositoryByName,
  findTemplate,
  loadRepository,
  pinVersion,
  readRepositories,
  type TemplateRepository,
  type TemplateVersion,
} from '../template/repository.ts';
import { openStore, type StoredTemplate, type TemplateStore } from '../template/store.ts';
import type { TemplateUser } from '../template/store-usage.ts';
import { compareVersions } from '../template/vendor.ts';

/** The templates that an init file can name, from the active repositories and the store. */
export interface Templates {
  /** What is known about a template, or why it is missing. Changes nothing. */
  look(name: string, version: string | undefined, signal: AbortSignal | undefined): Promise<TemplateFound | TemplateMissing>;
  /** Downloads it into the store unless it is there, and records its user. Concurrent requests share one download. */
  fetch(name: string, version: string, user: TemplateUser, step: Step): Promise<StoredTemplate>;
}

const LAGO_STORE = '/var/lib/lago/store';
const LAGO_REPOS = '/var/lib/lago/repos';
/** A user is waiting for the plan while a vendor is queried. */
const ASKING = { attempts: 2, idleMs: 10_000 };

/** The store to use: the configured one; if that is Lago's machine-wide default and this user cannot write it, the user's own. */
export async function storePath(settings: Pick<EngineSettings, 'templateStore'>): Promise<string> {
  return await writableDir(settings.templateStore, LAGO_STORE, 'store');
}

/** Removes what killed commands left half-written in the store. An inaccessible store is not an error. */
export async function tidyStore(settings: EngineSettings, log: Log): Promise<void> {
  const { removeStaleParts } = await import('../disk/parts.ts');
  try {
    await removeStaleParts(await storePath(settings));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    log.warn(error.message);
  }
}

/** The folder of added repositories, chosen like `storePath`. */
export async function repositoriesPath(settings: EngineSettings): Promise<string> {
  return await writableDir(settings.templateRepos, LAGO_REPOS, 'repos');
}

/** A repository from the settings, or why it cannot be used. */
export type KnownRepository = {
  readonly location: string;
  readonly kind: 'built-in' | 'configured' | 'added';
  /** Whether init files find its templates. Added ones are skipped when the settings name one repository. */
  readonly searched: boolean;
} & (
  | { readonly repository: TemplateRepository; readonly problem?: never }
  | { readonly problem: EngineError; readonly repository?: never }
);

/**
 * All repositories: the one named by the settings, else the built-in ones followed by the added ones. A failing one is reported and does
 * not affect the others.
 */
export async function knownRepositories(
  settings: EngineSettings,
  resourcesDir: string,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<readonly KnownRepository[]> {
  const options = { log, signal };
  const { templateRepoPath: path, templateRepoName: name } = settings;
  const folder = await repositoriesPath(settings);
  const attempt = async (
    location: string,
    kind: KnownRepository['kind'],
    load: () => Promise<TemplateRepository>,
  ): Promise<KnownRepository> => {
    try {
      const repository = await load();
      return { location: repository.location, kind, searched: true, repository };
    } catch (error) {
      if (!(error instanceof EngineError) || isCancelled(error)) throw error;
      return { location, kind, searched: true, problem: error };
    }
  };
  const named = path !== undefined || name !== undefined;
  const first: KnownRepository[] = [];
  if (path !== undefined) first.push(await attempt(path, 'configured', async () => await loadRepository(path, options)));
  else if (name !== undefined)
    first.push(await attempt(folder, 'configured', async () => await findRepositoryByName(name, folder, options)));
  else {
    for (const location of builtInRepositories(resourcesDir)) {
      const found = await attempt(location, 'built-in', async () => await loadRepository(location, options));
      // A missing sample-guest repository is not a problem.
      if (found.problem?.code !== 'input.missing-file') first.push(found);
    }
  }
  const added = (await readRepositories(folder, options)).filter(({ location }) => !first.some((one) => one.location === location));
  return [...first, ...added.map((one): KnownRepository => ({ ...one, kind: 'added', searched: !named }))];
}

/** The repositories that init files search. Throws if the one named by the settings has a problem. */
export function searchedRepositories(known: readonly KnownRepository[]): readonly TemplateRepository[] {
  const broken = known.find((one) => one.kind === 'configured' && one.problem !== undefined);
  if (broken?.problem !== undefined) throw broken.problem;
  return known.flatMap((one) => (one.searched && one.repository !== undefined ? [one.repository] : []));
}

export interface PinOptions {
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
  /** If its vendor cannot be asked for the newest image, use the newest one in the store. */
  readonly orStored: boolean;
}

/**
 * Resolves a name to one image. The vendor is asked only for a moving entry whose version is not in the store. `template.missing`,
 * `remote.*`.
 */
export async function pinTemplate(
  from: readonly TemplateRepository[],
  store: TemplateStore,
  name: string,
  version: string | undefined,
  options: PinOptions,
): Promise<TemplateVersion> {
  const entry = findTemplate(from, name, version);
  if (entry.vendor === undefined) return entry;
  const wanted = version === entry.version ? undefined : version;
  const start = `${entry.repository}:${name}:`;
  const stored = (await store.list()).filter((fullName) => fullName.startsWith(start)).map((fullName) => fullName.slice(start.length));
  const { vendor: _vendor, ...fixed } = entry;
  const ofStore = (kept: string): TemplateVersion => ({ ...fixed, version: kept, fullName: `${start}${kept}`, served: {} });
  if (wanted !== undefined && stored.includes(wanted)) return ofStore(wanted);
  try {
    return await pinVersion(entry, wanted, { ...ASKING, signal: options.signal, log: options.log });
  } catch (error) {
    const newest = stored.toSorted(compareVersions).at(-1);
    if (!options.orStored || wanted !== undefined || newest === undefined) throw error;
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    options.log?.warn(`Whether there is a newer image of ${name} than ${newest} is not known: ${error.message}`);
    return ofStore(newest);
  }
}

/** Opens repositories and store for planning and creating one environment: each name means the same image throughout. */
export async function openTemplates(
  settings: EngineSettings,
  resourcesDir: string,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<Templates> {
  const store = openStore(await storePath(settings));
  const pinned = new Map<string, Promise<TemplateVersion>>();
  let loading: Promise<readonly KnownRepository[]> | undefined;

  async function pin(name: string, version: string | undefined, pinSignal: AbortSignal | undefined): Promise<TemplateVersion> {
    loading ??= knownRepositories(settings, resourcesDir, log, signal);
    const repositories = searchedRepositories(await loading);
    const key = JSON.stringify([name, version]);
    const found = pinned.get(key) ?? pinTemplate(repositories, store, name, version, { signal: pinSignal, log, orStored: true });
    pinned.set(key, found);
    const template = await found;
    pinned.set(JSON.stringify([name, template.version]), found);
    return template;
  }

  return {
    async look(name, version, lookSignal) {
      try {
        return await store.resolve(await pin(name, version, lookSignal), { signal: lookSignal, log });
      } catch (error) {
        if (!(error instanceof EngineError) || isCancelled(error)) throw error;
        // Becomes an issue at the line that names the template.
        return { missing: error.message, hint: error.hint ?? 'Add the repository that has it: lago template-repo add URL.' };
      }
    },
    async fetch(name, version, user, step) {
      const template = await pin(name, version, step.signal);
      return await store.fetch(template, { signal: step.signal, log: step.log, progress: step.progress, user });
    },
  };
}
