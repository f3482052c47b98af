import { formatBytes } from '../../src-shared/bytes.ts';
import type { SnapshotMeasured, SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { count, dots, formatClock } from '../format.ts';

/** A short time: `48 ms`, `0.8 s`, `12 s`. */
export function formatShort(milliseconds: number): string {
  if (milliseconds < 500) return `${Math.round(milliseconds)} ms`;
  return milliseconds < 9_950 ? `${(milliseconds / 1000).toFixed(1)} s` : `${Math.round(milliseconds / 1000)} s`;
}

/** What a snapshot needs on this machine's disk, of all its VMs. */
export function sizeOf(snapshot: SnapshotState): { readonly disk: number; readonly memory: number } {
  const sizes = Object.values(snapshot.sizes);
  return {
    disk: sizes.reduce((sum, size) => sum + size.disk, 0),
    memory: sizes.reduce((sum, size) => sum + size.memory, 0),
  };
}

/** Both parts of its size. */
export function bytesOf(snapshot: SnapshotState): number {
  const { disk, memory } = sizeOf(snapshot);
  return disk + memory;
}

/** `with memory`, `disks only`, `2 of 3 with memory`. */
export function contentOf(snapshot: SnapshotState): string {
  const kinds = Object.values(snapshot.vms);
  const memory = kinds.filter((kind) => kind === 'memory').length;
  if (memory === 0) return 'disks only';
  return memory === kinds.length ? 'with memory' : `${memory} of ${kinds.length} with memory`;
}

const MECHANISMS: Readonly<Record<NonNullable<SnapshotMeasured['mechanism']>, string>> = {
  background: 'memory was written while the VMs ran on',
  'pre-copy': 'most of the memory was written before, the rest while they stood still',
  paused: 'memory was written while they stood still',
};

/** What taking it cost: `Stood still 48 ms (longest), skew 3 ms, 83 MiB memory, 0.8 s`. Empty when nobody measured it. */
export function measuredSentence({ measured }: SnapshotState): string {
  if (measured === null) return '';
  const still = Object.values(measured.stillMs);
  const memory = Object.values(measured.memory).reduce((sum, bytes) => sum + bytes, 0);
  return [
    still.length > 0 && `Stood still ${formatShort(Math.max(...still))}${still.length > 1 ? ' (longest)' : ''}`,
    still.length > 1 && `skew ${formatShort(measured.skewMs)}`,
    memory > 0 && `${formatBytes(memory)} memory`,
    `${still.length === 0 ? 'Took ' : ''}${formatShort(measured.durationMs)}`,
  ]
    .filter((part) => part !== false)
    .join(', ');
}

/** How its memory was written, for the curious; empty when there was none. */
export function mechanismSentence({ measured }: SnapshotState): string {
  return measured === null || measured.mechanism === null ? '' : MECHANISMS[measured.mechanism];
}

/** Everything that the picture shows of a snapshot, in words. */
export function describePoint(snapshot: SnapshotState, now: number): string {
  return [
    snapshot.name,
    formatClock(snapshot.createdAt, now),
    count(Object.keys(snapshot.vms).length, 'VM'),
    contentOf(snapshot),
    bytesOf(snapshot) > 0 && formatBytes(bytesOf(snapshot)),
    snapshot.pinned && 'pinned',
    snapshot.automatic && 'automatic',
    damageOf(snapshot) ?? false,
    snapshot.tags.length > 0 && `tags ${snapshot.tags.join(', ')}`,
    snapshot.current && 'the present is built on it',
  ]
    .filter((part) => part !== false)
    .join(', ');
}

/** `6 snapshots · 1.2 GiB`. */
export function totalOf(snapshots: readonly SnapshotState[]): string {
  const bytes = snapshots.reduce((sum, snapshot) => sum + bytesOf(snapshot), 0);
  return dots(count(snapshots.length, 'snapshot'), bytes > 0 && formatBytes(bytes));
}

type Files = Pick<SnapshotState, 'missing' | 'changed'>;

/** What is wrong with its files of a VM, in two words; undefined when they are as they were kept. */
export function damageOfVm({ missing, changed = [] }: Files, vm: string): string | undefined {
  if (missing.includes(vm)) return 'files missing';
  return changed.includes(vm) ? 'files changed' : undefined;
}

/** What is wrong with its files, and of which VMs; undefined when they are as they were kept. */
export function damageOf({ missing, changed = [] }: Files): string | undefined {
  if (missing.length > 0) return `files missing of ${missing.join(', ')}`;
  return changed.length > 0 ? `files changed of ${changed.join(', ')}` : undefined;
}

/** Why it cannot be reverted to or forked; undefined when its files are as they were kept. */
export function filesProblem({ name, missing, changed = [] }: Files & Pick<SnapshotState, 'name'>): string | undefined {
  if (missing.length > 0) return `Files of ${missing.join(', ')} are missing in “${name}”`;
  return changed.length > 0 ? `Another program has changed files of ${changed.join(', ')} in “${name}”` : undefined;
}

/** Why it cannot be forked; undefined when it can. */
export function forkProblem(snapshot: SnapshotState): string | undefined {
  return (
    filesProblem(snapshot) ?? (snapshot.kind === 'layers' ? undefined : 'It is inside the disks’ files; newer snapshots can be forked')
  );
}
