import { EngineError } from '../../../../src-shared/errors.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import type { Step } from '../../core/operation.ts';
import { readPrefix } from '../../prefix/prefix.ts';
import type { RepoUser } from '../../repos/store/stored.ts';
import type { SyncResult } from '../../repos/sync-result.ts';
import { chooseRepos } from './choose-repos.ts';
import type { SyncRequest } from './repo-request.ts';
import { repoStorePath } from './store.ts';
import { type SyncHooks, syncWanted } from './sync-wanted.ts';

/**
 * Synchronises the chosen package repositories into the store, as `syncWanted` does, and records the environment at `root` as their user.
 * `input.invalid` when a file has errors, or no section is chosen.
 */
export async function syncRepos(
  context: { readonly settings: Pick<EngineSettings, 'reposyncConfig' | 'reposyncDir'> },
  root: string | undefined,
  request: SyncRequest,
  step: Step,
  hooks: SyncHooks = {},
): Promise<readonly SyncResult[]> {
  const chosen = await chooseRepos(context, root, request);
  for (const { severity, message, file, line } of chosen.issues) {
    if (severity === 'error')
      throw new EngineError('input.invalid', `${file}:${line}: ${message}`, { hint: '"lago repo explain" shows all.' });
    step.log.debug(`${file}:${line}: ${message}`);
  }
  for (const { section, reason } of chosen.sections.filter(({ used }) => !used)) step.log.info(`Not used: ${section.id}. ${reason}`);
  const sections = chosen.sections.filter(({ used }) => used).map(({ section }) => section);
  if (sections.length === 0) {
    throw new EngineError('input.invalid', `None of the package repositories in ${chosen.files.join(', ')} is used.`, {
      hint: '"lago repo explain" says why. Name distributions with --distro, or sections with --section.',
    });
  }
  const user = root === undefined ? undefined : await userAt(root);
  const store = request.store ?? (await repoStorePath(context.settings));
  const { distros, arch } = chosen;
  const wanted = sections.map((section) => ({
    id: section.id,
    find: async () => await Promise.resolve({ section, options: { user, variables: { distros, arch } } }),
  }));
  return await syncWanted(wanted, { ...hooks, store, verify: request.verify === true }, step);
}

async function userAt(root: string): Promise<RepoUser> {
  const { paths, uuid } = await readPrefix(root);
  return { uuidFile: paths.uuid, uuid };
}
