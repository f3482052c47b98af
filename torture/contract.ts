import type { Report } from './report.ts';

/** Limits of a run. */
export interface Budget {
  /** Attempts that end with a kill. */
  readonly kills: number;
  /** Steps of `snapshot-model`; undefined for the usual number. */
  readonly steps: number | undefined;
  /** Date.now() after which nothing new begins. */
  readonly until: number;
  readonly short: boolean;
  /** Only the attempt with this number. */
  readonly only: number | undefined;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface Torture {
  readonly seed: number;
  readonly budget: Budget;
  readonly report: Report;
}

/** What an attempt is doing, for the failure message. */
export interface Note {
  verb: string;
  moment: string;
}

/** Numbers of the attempts to make, until the budget is used up. */
export function* attempts({ budget }: Torture, most: number): Generator<number> {
  if (budget.only !== undefined) {
    yield budget.only;
    return;
  }
  for (let number = 1; number <= most && Date.now() < budget.until; number++) {
    budget.signal.throwIfAborted();
    yield number;
  }
}
