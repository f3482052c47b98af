import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError, isCancelled, toEngineError } from '../../../../src-shared/errors.ts';
import { syncStepLabel } from '../../../../src-shared/repos/repo-store-state.ts';
import type { Step } from '../../core/operation.ts';
import type { PauseGate } from '../../core/pause.ts';
import { forEachLimit } from '../../core/until.ts';
import type { RepoSection } from '../../repos/definition/section.ts';
import { createHostSlots } from '../../repos/fetch/host-slots.ts';
import { type SyncOptions, syncRepo } from '../../repos/sync.ts';
import type { SyncProgress, SyncResult } from '../../repos/sync-result.ts';

/** Repositories that are synchronised at once; requests to one server are limited on top of that. */
const AT_ONCE = 3;

/** What a front door adds to a synchronisation. */
export interface SyncHooks {
  /** While paused nothing is fetched; what has arrived is kept. */
  readonly gate?: PauseGate;
  /** Told the name of each folder of the store that is synchronised. */
  readonly onFolder?: (name: string) => void;
}

/** One repository to be synchronised; `find` says why it cannot be. */
export interface WantedRepo {
  readonly id: string;
  find(signal: AbortSignal): Promise<{ readonly section: RepoSection; readonly options: Pick<SyncOptions, 'user' | 'variables'> }>;
}

/**
 * Synchronises repositories into the store. One that fails does not keep the others from finishing; the first failure is thrown at the end,
 * unless its file says `skip_if_unavailable`.
 */
export async function syncWanted(
  wanted: readonly WantedRepo[],
  options: SyncHooks & { readonly store: string; readonly verify: boolean },
  step: Step,
): Promise<readonly SyncResult[]> {
  const slots = createHostSlots();
  const results: (SyncResult | undefined)[] = [];
  const failures: EngineError[] = [];
  await forEachLimit([...wanted.entries()], AT_ONCE, step.signal, async ([index, { id, find }]) => {
    const label = syncStepLabel(id);
    let section: RepoSection | undefined;
    try {
      const work = async (one: Step): Promise<void> => {
        const found = await find(one.signal);
        section = found.section;
        const result = await syncRepo(section, {
          ...options,
          ...found.options,
          slots,
          log: one.log,
          signal: one.signal,
          onProgress: (progress) => one.progress(fractionOf(progress), describe(progress)),
        });
        results[index] = result;
        for (const problem of result.problems) one.log.error(`${id}: ${problem}`);
        if (result.problems.length > 0) throw incomplete(result);
      };
      await step.step(label, work, wanted.length > 1 ? { worker: label } : {});
    } catch (error) {
      if (isCancelled(error)) throw error;
      const failure = toEngineError(error);
      if (section !== undefined && isPassedOver(section, failure)) {
        step.log.warn(`${failure.message} It is passed over, as skip_if_unavailable says.`);
      } else {
        step.log.error(failure.message);
        failures.push(failure);
      }
    }
  });
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return results.filter((result) => result !== undefined);
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
