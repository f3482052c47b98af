import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError, isCancelled, toEngineError } from '../../../../src-shared/errors.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import type { Step } from '../../core/operation.ts';
import { readPrefix } from '../../prefix/prefix.ts';
import type { RepoSection } from '../../repos/definition/section.ts';
import { createHostSlots } from '../../repos/fetch/host-slots.ts';
import type { RepoUser } from '../../repos/store/stored.ts';
import { syncRepo } from '../../repos/sync.ts';
import type { SyncProgress, SyncResult } from '../../repos/sync-result.ts';
import { chooseRepos } from './choose-repos.ts';
import type { SyncRequest } from './repo-request.ts';
import { repoStorePath } from './store.ts';

/** Repositories that are synchronised at once; requests to one server are limited on top of that. */
const AT_ONCE = 3;

/**
 * Synchronises the chosen package repositories into the store, and records the environment at `root` as their user. One that fails does not
 * keep the others from finishing; the first failure is thrown at the end, unless its file says `skip_if_unavailable`. `input.invalid` when a
 * file has errors, or no section is chosen.
 */
export async function syncRepos(
  context: { readonly settings: Pick<EngineSettings, 'reposyncConfig' | 'reposyncDir'> },
  root: string | undefined,
  request: SyncRequest,
  step: Step,
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
  const slots = createHostSlots();
  const results: SyncResult[] = [];
  const failures: EngineError[] = [];
  await step.each(
    sections,
    AT_ONCE,
    ({ id }) => `Synchronise ${id}`,
    async (section, one) => {
      try {
        const result = await syncRepo(section, {
          store,
          user,
          slots,
          log: one.log,
          signal: one.signal,
          verify: request.verify === true,
          onProgress: (progress) => one.progress(fractionOf(progress), describe(progress)),
        });
        results.push(result);
        for (const problem of result.problems) one.log.error(`${section.id}: ${problem}`);
        if (result.problems.length > 0) failures.push(incomplete(result));
      } catch (error) {
        if (isCancelled(error)) throw error;
        const failure = toEngineError(error);
        if (isPassedOver(section, failure)) one.log.warn(`${failure.message} It is passed over, as skip_if_unavailable says.`);
        else {
          one.log.error(failure.message);
          failures.push(failure);
        }
      }
    },
  );
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return sections.flatMap(({ id }) => results.filter((result) => result.id === id));
}

async function userAt(root: string): Promise<RepoUser> {
  const { paths, uuid } = await readPrefix(root);
  return { uuidFile: paths.uuid, uuid };
}

function isPassedOver(section: RepoSection, { code }: EngineError): boolean {
  return section.kind === 'rpm' && section.skipIfUnavailable && code.startsWith('remote.');
}

function incomplete({ id, problems }: SyncResult): EngineError {
  const [first = ''] = problems;
  const others = problems.length === 1 ? '' : ` And ${problems.length - 1} more.`;
  return new EngineError('remote.invalid', `The package repository ${id} is not complete: ${first}${others}`, {
    details: { packages: problems.length },
    hint: 'Everything else is there. Try again later; only what is missing is fetched.',
  });
}

function fractionOf({ stage, done, total, bytes, totalBytes }: SyncProgress): number {
  if (stage !== 'packages') return stage === 'finishing' ? 1 : 0;
  return totalBytes > 0 ? bytes / totalBytes : done / Math.max(1, total);
}

function describe({ stage, done, total, bytes, totalBytes }: SyncProgress): string {
  switch (stage) {
    case 'waiting':
      return 'waiting for its turn';
    case 'metadata':
      return 'reading what there is';
    case 'checking':
      return `checking package ${done} of ${total}`;
    case 'packages':
      return `${done} of ${total} packages, ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`;
    case 'finishing':
      return 'writing metadata';
  }
}
