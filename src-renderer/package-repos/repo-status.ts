import {
  IconAlertTriangle,
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleX,
  IconClock,
  IconLoader2,
  IconPlayerPauseFilled,
} from '@tabler/icons-react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import { type StoredRepoState, syncStepLabel } from '../../src-shared/repos/repo-store-state.ts';
import { count, dots, formatAgo } from '../format.ts';
import { isRunning } from '../live-cache.ts';
import type { RowStatus } from '../ui/feedback/status-cell.tsx';

/** What an operation does with a repository now; undefined when it does nothing with it, or no more. */
export interface RepoWork {
  readonly operation: OperationState;
  /** The step that synchronises it; undefined before its turn. */
  readonly step: StepState | undefined;
}

/** `operations` by their ids. */
export function workOn(repo: StoredRepoState, operations: ReadonlyMap<string, OperationState>): RepoWork | undefined {
  const operation = repo.operation === null ? undefined : operations.get(repo.operation);
  if (operation === undefined || !isRunning(operation)) return undefined;
  const step = operation.steps.find(({ label }) => label === syncStepLabel(repo.id));
  return step === undefined || step.status === 'running' ? { operation, step } : undefined;
}

/** Whether both look the same and allow the same. */
export function isSameWork(a: RepoWork | undefined, b: RepoWork | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const [one, other] = [a.operation, b.operation];
  return (
    one.id === other.id &&
    one.status === other.status &&
    one.paused === other.paused &&
    a.step?.fraction === b.step?.fraction &&
    a.step?.detail === b.step?.detail
  );
}

/** What came and went: `12 new, 3 gone`. */
function changeText({ added, removed }: { readonly added: number; readonly removed: number }): string {
  return [added > 0 && `${added} new`, removed > 0 && `${removed} gone`].filter((part) => part !== false).join(', ');
}

function working({ operation, step }: RepoWork): RowStatus {
  const { kind, status, paused } = operation;
  const fraction = step?.fraction ?? 0;
  const busy = { tone: 'busy', icon: IconLoader2, spin: true } as const;
  if (kind === 'evict') return { ...busy, word: 'removing', detail: '' };
  if (status === 'cancelling') return { ...busy, word: 'cancelling', detail: '', fraction };
  const detail = step?.detail ?? 'waiting for its turn';
  if (step === undefined && paused !== true) return { tone: 'off', icon: IconClock, word: 'waiting', detail: 'for others to be done' };
  if (paused === true) return { tone: 'warn', icon: IconPlayerPauseFilled, word: 'paused', detail, fraction };
  return { ...busy, word: 'synchronising', detail, fraction };
}

/** What the last synchronisation brought; of one that found nothing new also when something last came. */
function broughtText({ last, change }: StoredRepoState, now: number): string {
  if (change === null) return '';
  // The change is of the last synchronisation, or of an earlier one.
  if (last !== null && change.at === last.at) return dots(changeText(change), `${formatBytes(change.bytes)} fetched`);
  return `nothing new; last change ${formatAgo(change.at, now)}`;
}

/** Why it failed without the address that the message begins with: a row has little room. */
function causeOf(message: string): string {
  return message.replace(/^\S+ cannot be fetched[^:]*: /, '');
}

/** A repository's status for its row: what works on it, else how its last synchronisation ended. `now` is in ms. */
export function repoStatus(repo: StoredRepoState, work: RepoWork | undefined, now: number): RowStatus {
  if (work !== undefined) return working(work);
  const { last, elsewhere, interrupted, syncedAt } = repo;
  if (elsewhere !== null) {
    const word = elsewhere.startsWith('repo clean') ? 'removing' : 'synchronising';
    return { tone: 'busy', icon: IconLoader2, spin: true, word, detail: `by another program: ${elsewhere}` };
  }
  if (interrupted) {
    return {
      tone: 'warn',
      icon: IconAlertTriangle,
      word: 'interrupted',
      detail: 'what has arrived is kept; the next sync goes on from there',
    };
  }
  if (last?.outcome === 'failed')
    return { tone: 'bad', icon: IconCircleX, word: 'sync failed', detail: causeOf(last.error?.message ?? '') };
  if (last?.outcome === 'incomplete') {
    const detail = `${count(last.problems, 'package')} could not be had`;
    return { tone: 'warn', icon: IconAlertTriangle, word: 'not complete', detail };
  }
  if (syncedAt === null) {
    const detail =
      last?.outcome === 'cancelled' ? 'its first sync was cancelled; what has arrived is kept' : 'never synchronised to its end';
    return { tone: 'off', icon: IconCircleDashed, word: 'not complete yet', detail };
  }
  const cancelled = last?.outcome === 'cancelled';
  const detail = cancelled ? 'the last sync was cancelled; what has arrived is kept' : broughtText(repo, now);
  return { tone: 'ok', icon: IconCircleCheckFilled, word: 'synchronised', detail };
}

/** The repositories that have all words of a filter in their names, addresses or users. */
export function filterRepos(repos: readonly StoredRepoState[], filter: string): readonly StoredRepoState[] {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return repos;
  return repos.filter(({ name, kind, source, usedBy }) => {
    const text = [name, kind ?? '', source, ...usedBy.map((user) => user.name)].join('\n').toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Why a repository cannot be removed, naming the environments; undefined when it can. */
export function removeBlocked({ usedBy }: StoredRepoState): string | undefined {
  if (usedBy.length === 0) return undefined;
  const names = usedBy.slice(0, 3).map(({ name }) => name);
  return `Used by ${names.join(', ')}${usedBy.length > 3 ? ` and ${usedBy.length - 3} more` : ''}`;
}
