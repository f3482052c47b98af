import { formatBytes } from '../../../src-shared/bytes.ts';
import type { RemovalPlan, RevertPlan } from '../../../src-shared/snapshot/snapshot-plans.ts';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';

/** Snapshots for people: one per line below the one that it came from, with its note beneath. */
export function snapshotTree(points: readonly SnapshotState[], parent: string | null = null, indent = ''): readonly string[] {
  const names = new Set(points.map(({ name }) => name));
  return points
    .filter((point) => (point.parent !== null && names.has(point.parent) ? point.parent : null) === parent)
    .flatMap((point) => [
      `${indent}${aboutPoint(point)}`,
      ...(point.note === '' ? [] : point.note.split('\n').map((line) => `${indent}    ${line}`)),
      ...snapshotTree(points, point.name, `${indent}  `),
    ]);
}

function aboutPoint({ name, createdAt, vms, sizes, current, pinned, automatic, tags, missing, changed = [] }: SnapshotState): string {
  const bytes = Object.values(sizes).reduce((sum, { disk, memory }) => sum + disk + memory, 0);
  return [
    name,
    localTime(createdAt),
    Object.values(vms).includes('memory') ? 'memory and disks' : 'disks',
    ...(bytes === 0 ? [] : [formatBytes(bytes)]),
    ...(pinned ? ['pinned'] : []),
    ...(automatic ? ['automatic'] : []),
    ...(missing.length === 0 ? [] : [`files missing: ${missing.join(', ')}`]),
    ...(changed.length === 0 ? [] : [`files changed by another program: ${changed.join(', ')}`]),
    ...tags.map((tag) => `#${tag}`),
    ...(current ? ['← now'] : []),
  ].join('  ');
}

/** What a deletion would do, for people. */
export function removalText({ snapshots, bytes, merges }: RemovalPlan): readonly string[] {
  if (snapshots.length === 0) return ['Nothing would be deleted.'];
  return [
    `Would delete: ${snapshots.join(', ')}.`,
    ...merges.map(({ vm, layers }) => `Would merge ${layers === 1 ? 'a layer' : `${layers} layers`} of VM ${vm}.`),
    `Gives back at least ${formatBytes(bytes)}.`,
  ];
}

/** What a revert would do, for people. */
export function revertText(name: string, { since, vms, missing, changed = [] }: RevertPlan): readonly string[] {
  if (missing.length > 0) return [`Cannot revert to ${name}: files of ${missing.join(', ')} are missing.`];
  if (changed.length > 0) return [`Cannot revert to ${name}: files of ${changed.join(', ')} were changed by another program.`];
  return [
    `Would revert to ${name}. Lost: everything since ${localTime(since)}.`,
    ...vms.map(({ vm, now, to }) => `${vm}: now ${now}, then ${to === 'memory' ? 'running, with its memory' : 'off'}.`),
  ];
}

/** `2026-11-28 10:04:05` in the time zone of this machine. */
function localTime(at: number): string {
  // Sweden writes dates as ISO 8601 does.
  return new Date(at).toLocaleString('sv-SE');
}
