import { MAX_FORKS } from '../../../src-shared/snapshot/timeline.ts';

/** Why so many forks cannot be made; undefined when they can. */
export function forkNumberProblem(number: string): string | undefined {
  return /^\d+$/.test(number) && Number(number) >= 1 && Number(number) <= MAX_FORKS ? undefined : `1 to ${MAX_FORKS}`;
}

/** The names of the environments that forking makes; just the name when the number is 1 or no number. */
export function forkNames(name: string, number: number): readonly string[] {
  return Number.isInteger(number) && number > 1 && number <= MAX_FORKS
    ? Array.from({ length: number }, (_, index) => `${name}-${index + 1}`)
    : [name];
}
