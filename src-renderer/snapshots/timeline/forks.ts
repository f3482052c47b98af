import type { PrefixState } from '../../../src-shared/state.ts';
import type { Origin } from './history.ts';
import type { ForkGroup } from './layout.ts';

/** Longest label, px. */
export const NAME_WIDTH = 148;
/** Width of a letter of a label, px. */
export const LETTER = 7.3;

/** An environment that went on from this one. */
export interface ForkedEnvironment {
  readonly id: string;
  readonly name: string;
  /** Null: from the present at that time. */
  readonly snapshot: string | null;
  readonly at: number;
}

/** The environments that were forked from this one. */
export function forksOf(prefixes: readonly PrefixState[], id: string): readonly ForkedEnvironment[] {
  return prefixes.flatMap(({ id: other, name, forkedFrom }) =>
    forkedFrom?.id === id ? [{ id: other, name, snapshot: forkedFrom.snapshot, at: forkedFrom.at }] : [],
  );
}

/** Where an environment began, if that was in another one. */
export function originOf({ forkedFrom }: PrefixState, prefixes: readonly PrefixState[]): Origin | null {
  if (forkedFrom === null) return null;
  return { ...forkedFrom, name: prefixes.find((other) => other.id === forkedFrom.id)?.name ?? null };
}

const SAME_MOMENT = 60_000;

/** Puts forks of the same snapshot, and those of the present that were made together, under one label. */
export function groupForks(forks: readonly ForkedEnvironment[]): readonly ForkGroup[] {
  const groups: ForkedEnvironment[][] = [];
  for (const fork of forks.toSorted((a, b) => a.at - b.at)) {
    const group = groups.find(
      ([first]) => first !== undefined && first.snapshot === fork.snapshot && (fork.snapshot !== null || fork.at - first.at < SAME_MOMENT),
    );
    if (group === undefined) groups.push([fork]);
    else group.push(fork);
  }
  return groups.flatMap((group): ForkGroup[] => {
    const [first] = group;
    if (first === undefined) return [];
    const text = group.length === 1 ? first.name : `${group.length} forks`;
    return [
      {
        key: first.id,
        snapshot: first.snapshot,
        at: first.at,
        environments: group.map((fork) => fork.id),
        width: Math.min(NAME_WIDTH, Math.round(text.length * LETTER)) + 36,
      },
    ];
  });
}
