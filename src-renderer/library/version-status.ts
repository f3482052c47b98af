import {
  IconAlertTriangle,
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleX,
  IconLoader2,
  IconPlayerPauseFilled,
  IconRefresh,
} from '@tabler/icons-react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import type { TemplateVersionState } from '../../src-shared/state.ts';
import { count, dots, formatAgo } from '../format.ts';
import { isRunning } from '../live-cache.ts';
import type { RowStatus } from '../ui/feedback/status-cell.tsx';
import { summaryOf } from './catalogue.ts';

const WORDS: Readonly<Partial<Record<OperationState['kind'], { readonly now: string; readonly failed: string }>>> = {
  fetch: { now: 'downloading', failed: 'download failed' },
  verify: { now: 'verifying', failed: 'not verified' },
  evict: { now: 'evicting', failed: 'not evicted' },
};

/** The operation that runs on a version now, else the last one that did, if it is still in the task list. */
export function operationOn(version: TemplateVersionState, operations: readonly OperationState[]): OperationState | undefined {
  const own = operations.filter((operation) => operation.id === version.operation || operation.template === version.fullName);
  return own.findLast(isRunning) ?? own.at(-1);
}

function deepestDetail(steps: readonly StepState[]): string | undefined {
  const step = steps.findLast((one) => one.status === 'running');
  return step === undefined ? undefined : (deepestDetail(step.steps) ?? step.detail);
}

/** Progress of a running operation: bytes, rate and time left; bytes alone while it is paused. */
export function progressDetail(operation: OperationState): string {
  const detail = deepestDetail(operation.steps);
  if (operation.status === 'cancelling') return 'undoing';
  if (detail === undefined) return operation.kind === 'fetch' ? 'asking its source' : '';
  return operation.paused === true ? `at ${detail.split(', ')[0]}` : detail;
}

function working(operation: OperationState): RowStatus {
  const word = WORDS[operation.kind]?.now ?? operation.label;
  const detail = progressDetail(operation);
  const { fraction } = operation;
  if (operation.status === 'cancelling') return { tone: 'busy', icon: IconLoader2, word: 'cancelling', spin: true, detail, fraction };
  if (operation.paused === true) return { tone: 'warn', icon: IconPlayerPauseFilled, word: 'paused', detail, fraction };
  return { tone: 'busy', icon: IconLoader2, word, spin: true, detail, fraction };
}

function failed(version: TemplateVersionState, operation: OperationState): RowStatus | undefined {
  // Another command may have succeeded since with what failed here.
  if (operation.status !== 'failed' || (operation.kind === 'fetch') === version.cached) return undefined;
  const detail = operation.error?.message ?? '';
  if (operation.error?.code === 'remote.hash-mismatch' && version.cached)
    return { tone: 'bad', icon: IconAlertTriangle, word: 'damaged', detail };
  return { tone: 'bad', icon: IconCircleX, word: WORDS[operation.kind]?.failed ?? 'failed', detail };
}

/** A version's status. `operation` comes from `operationOn`, `now` is in ms. */
export function versionStatus(version: TemplateVersionState, operation: OperationState | undefined, now: number): RowStatus {
  if (operation !== undefined) {
    if (isRunning(operation)) return working(operation);
    const failure = failed(version, operation);
    if (failure !== undefined) return failure;
  }
  if (version.cached) {
    const verified =
      operation?.kind === 'verify' && operation.status === 'succeeded' && `verified ${formatAgo(operation.endedAt ?? now, now)}`;
    const disk = version.virtualSize === null ? null : `${formatBytes(version.virtualSize)} disk`;
    return { tone: 'ok', icon: IconCircleCheckFilled, word: 'in store', detail: dots(verified, version.format, disk) };
  }
  if (version.moving) return { tone: 'off', icon: IconRefresh, word: 'newest from its vendor', detail: 'known once it is downloaded' };
  return { tone: 'off', icon: IconCircleDashed, word: 'not in store', detail: '' };
}

/** A template's status: a running operation on one of its versions, else a failed one, else what the store has. */
export function templateStatus(
  versions: readonly TemplateVersionState[],
  operations: ReadonlyMap<string, OperationState>,
  now: number,
): RowStatus {
  const statuses = versions.map((version) => versionStatus(version, operations.get(version.fullName), now));
  const telling = statuses.find((status) => status.fraction !== undefined) ?? statuses.find((status) => status.tone === 'bad');
  if (telling !== undefined) return telling;
  const { stored } = summaryOf(versions);
  if (stored === 0) return { tone: 'off', icon: IconCircleDashed, word: 'not in store', detail: '' };
  const latest = versions.find((version) => version.cached)?.version ?? '';
  return {
    tone: 'ok',
    icon: IconCircleCheckFilled,
    word: 'in store',
    detail: stored === 1 ? latest : `${count(stored, 'version')}, newest ${latest}`,
  };
}
