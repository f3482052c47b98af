import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Step } from '../../core/operation.ts';
import { type Prefix, readPrefix } from '../../prefix/prefix.ts';
import { type MergeResult, mergeRepos } from '../../repos/merge/merge.ts';
import { readRepomanConfig, repomanOptions } from '../../repos/merge/repoman-options.ts';
import { parseSource, sourceText } from '../../repos/merge/source.ts';
import { folderOf } from '../../repos/store/folder.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { chooseRepos, distrosOf } from './choose-repos.ts';
import { writeMergeRecord } from './merge-record.ts';
import type { MergePackagesRequest } from './merge-request.ts';
import type { StoredRequest } from './repo-request.ts';
import { repoStorePath } from './store.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Merges packages into the environment's repository, `PREFIX/internal_repo/DISTRO`, in place of what it had: see `repos/merge/merge.ts`, also
 * for errors. Does not take the environment's lock: nothing of its VMs is touched, and it may be served meanwhile.
 */
export async function mergePackages(context: RecipeContext, root: string, request: MergePackagesRequest, step: Step): Promise<MergeResult> {
  const prefix = await readPrefix(root);
  requireReady(prefix);
  const synced = await syncedSources(context, prefix, request, step);
  const named = sourcesOf(prefix, request);
  const texts = [...named, ...synced.sources];
  if (texts.length === 0) throw nothingNamed(synced.missing);
  const { name } = request;
  if (name !== undefined && !NAME.test(name)) throw new EngineError('input.invalid', `"${name}" cannot be the name of a repository.`);
  const sources = texts.map((text) => parseSource(text, request.folder));
  const configured = request.repomanConfig === undefined ? [] : await readRepomanConfig(request.repomanConfig);
  const { policy, notFollowed } = repomanOptions([...configured, ...(request.options ?? [])]);
  for (const sentence of notFollowed) step.log.warn(sentence);
  const distros = wantedDistros(prefix, request.distros);
  const into = name === undefined ? prefix.paths.internalRepo : join(prefix.paths.internalRepo, name);
  return await step.step('Merge packages', async (one) => {
    const { signal, log } = one;
    const { known, contents, ...result } = await mergeRepos(
      { sources, into, distros, policy },
      { signal, log, onProgress: (fraction, what) => one.progress(fraction, what) },
    );
    const recorded = sources.map((source, at) => ({ text: sourceText(source), synced: at >= named.length }));
    await writeMergeRecord(prefix.paths, { name: name ?? null, sources: recorded, ...result, known }, contents);
    for (const problem of result.problems) log.warn(problem);
    for (const conflict of result.conflicts) {
      log.warn(`${conflict.name} is in ${conflict.kept} and, with other content, in ${conflict.leftOut}, which is left out.`);
    }
    return result;
  });
}

function sourcesOf({ record }: Prefix, { sources }: MergePackagesRequest): readonly string[] {
  return sources.length > 0 ? sources : (record?.repos?.sources ?? []);
}

function nothingNamed(missing: readonly string[]): EngineError {
  if (missing.length > 0) {
    return new EngineError('input.missing-file', `There is nothing to merge: ${missing.join(', ')} was not synchronised yet.`, {
      hint: 'Run "lago repo sync" first.',
    });
  }
  return new EngineError('input.usage', 'There is nothing to merge: no source of packages was named, and the init file names none.', {
    hint: 'Name a folder with packages: "lago repo merge FOLDER".',
  });
}

interface SyncedSources {
  readonly sources: readonly string[];
  /** Ids of sections that were not synchronised yet. */
  readonly missing: readonly string[];
}

/** The folders of synchronised repositories, each of which only adds what is missing. */
async function syncedSources(
  { settings }: RecipeContext,
  { paths, record }: Prefix,
  { sources, synced, ownSynced = false }: MergePackagesRequest,
  step: Step,
): Promise<SyncedSources> {
  const own = (sources.length === 0 || ownSynced) && (record?.repos?.files ?? []).length > 0 ? { files: [], distros: [] } : undefined;
  const wanted: StoredRequest | undefined = synced ?? own;
  if (wanted === undefined) return { sources: [], missing: [] };
  const { sections } = await chooseRepos({ settings }, paths.root, wanted);
  const store = wanted.store ?? (await repoStorePath(settings));
  const used = sections.filter((one) => one.used).map(({ section }) => section);
  const folders = await Promise.all(used.map(async (section) => ({ section, ...(await folderOf(store, section)) })));
  const missing = folders.filter(({ path }) => !existsSync(path)).map(({ section }) => section.id);
  for (const id of missing) step.log.warn(`${id} was not synchronised yet, so that none of its packages is merged: lago repo sync`);
  return { sources: folders.filter(({ path }) => existsSync(path)).map(({ path }) => `${path}:only-missing`), missing };
}

/** Those that are named, else those of the VMs. */
function wantedDistros(prefix: Prefix, named: readonly string[] = []): readonly string[] {
  const distros = named.length > 0 ? [...new Set(named)] : distrosOf(prefix);
  if (distros.length > 0) return distros;
  throw new EngineError('input.usage', `No VM of ${prefix.name} says which distribution it has.`, {
    hint: 'Name it with --distro, such as --distro el9.',
  });
}
