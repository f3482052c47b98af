import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Step } from '../../core/operation.ts';
import { type Prefix, readPrefix } from '../../prefix/prefix.ts';
import { type MergeResult, mergeRepos } from '../../repos/merge/merge.ts';
import { parseSource, repomanOption } from '../../repos/merge/source.ts';
import { requireReady } from '../../runtime/recipe.ts';
import type { MergePackagesRequest } from './merge-request.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Merges packages into the environment's repository, `PREFIX/internal_repo/DISTRO`, in place of what it had: see `repos/merge/merge.ts`, also
 * for errors. Does not take the environment's lock: nothing of its VMs is touched, and it may be served meanwhile.
 */
export async function mergePackages(root: string, request: MergePackagesRequest, step: Step): Promise<MergeResult> {
  const prefix = await readPrefix(root);
  requireReady(prefix);
  const texts = request.sources.length > 0 ? request.sources : (prefix.record?.repos?.sources ?? []);
  if (texts.length === 0) {
    throw new EngineError('input.usage', 'There is nothing to merge: no source of packages was named, and the init file names none.');
  }
  const { name } = request;
  if (name !== undefined && !NAME.test(name)) throw new EngineError('input.invalid', `"${name}" cannot be the name of a repository.`);
  const sources = texts.map((text) => parseSource(text, request.folder));
  for (const option of request.options ?? []) {
    const said = repomanOption(option);
    if (said !== undefined) step.log.warn(said);
  }
  const distros = wantedDistros(prefix, request.distros);
  const into = name === undefined ? prefix.paths.internalRepo : join(prefix.paths.internalRepo, name);
  return await step.step('Merge packages', async (one) => {
    const { signal, log } = one;
    const result = await mergeRepos(
      { sources, into, distros },
      { signal, log, onProgress: (fraction, what) => one.progress(fraction, what) },
    );
    for (const problem of result.problems) log.warn(problem);
    for (const conflict of result.conflicts) {
      log.warn(`${conflict.name} is in ${conflict.kept} and, with other content, in ${conflict.leftOut}, which is left out.`);
    }
    return result;
  });
}

/** Those that are named, else those of the VMs. */
function wantedDistros({ name, specs }: Prefix, named: readonly string[] = []): readonly string[] {
  const distros = [
    ...new Set(named.length > 0 ? named : specs.vms.flatMap(({ distro }) => (distro === undefined || distro === '' ? [] : [distro]))),
  ];
  if (distros.length > 0) return distros;
  throw new EngineError('input.usage', `No VM of ${name} says which distribution it has.`, {
    hint: 'Name it with --distro, such as --distro el9.',
  });
}
