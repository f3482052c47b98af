import type { RemovalChoice } from './snapshot-plans.ts';

/** What the functions here look at of a snapshot. */
interface Point {
  readonly name: string;
  readonly parent: string | null;
  readonly pinned?: boolean | undefined;
}

/** The names of a snapshot and of everything that came from it, in the order of `points`. Empty when there is none of that name. */
export function branchOf(points: readonly Point[], name: string): readonly string[] {
  const found = new Set(points.filter((point) => point.name === name).map((point) => point.name));
  for (const one of found) for (const { name: child, parent } of points) if (parent === one) found.add(child);
  return points.flatMap((point) => (found.has(point.name) ? [point.name] : []));
}

/** The names of the snapshots that a deletion concerns, in the order of `points`. A pinned one stays unless it is the one that is named. */
export function chosenForRemoval(points: readonly Point[], choice: RemovalChoice): readonly string[] {
  if ('name' in choice) return points.flatMap(({ name }) => (name === choice.name ? [name] : []));
  const branch = 'branch' in choice ? new Set(branchOf(points, choice.branch)) : undefined;
  return points.flatMap(({ name, pinned }) => {
    if (branch === undefined) return pinned === true ? [] : [name];
    return branch.has(name) && (pinned !== true || ('branch' in choice && choice.branch === name)) ? [name] : [];
  });
}
