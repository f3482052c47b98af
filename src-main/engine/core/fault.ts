/**
 * The one place where a test makes work fail or die. Every step of an operation and every effect with an undo passes here, in order, so
 * that a recipe can be tested at each of them on real files. Costs nothing unless a plan is set.
 */
export type FaultKind = 'step' | 'effect';

export interface FaultPlan {
  /** Which point, counted from 1 over steps and effects. */
  readonly at: number;
  /**
   * `fail` throws once. `die` throws at this point and all later ones and nothing is undone or released, as after a SIGKILL. `kill` is a
   * real SIGKILL. `hold` stops the process (SIGSTOP) until it is continued.
   */
  readonly how: 'fail' | 'die' | 'kill' | 'hold';
}

/** What `fail` and `die` throw. */
export class InjectedFault extends Error {
  override readonly name = 'InjectedFault';
}

/** The points passed under a plan. */
export interface FaultRun {
  readonly points: readonly string[];
  /** Whether the plan has triggered. */
  readonly struck: boolean;
}

let plan: FaultPlan | undefined;
let points: string[] = [];
let dead = false;

/** Sets the plan (undefined clears it and any `die` it caused) and restarts counting. */
export function injectFault(next: FaultPlan | undefined): FaultRun {
  plan = next;
  const run: string[] = [];
  points = run;
  dead = false;
  return {
    points: run,
    get struck() {
      return next !== undefined && run.length >= next.at;
    },
  };
}

/** True after `die`: undo and clean-up code then does nothing, as in a killed process. */
export function isDead(): boolean {
  return dead;
}

/** Called at every step and effect, with its label. */
export function faultPoint(kind: FaultKind, label: string): void {
  if (plan === undefined) return;
  points.push(`${kind}: ${label}`);
  if (dead) throw new InjectedFault(`Dead before ${label}.`);
  if (points.length !== plan.at) return;
  if (plan.how === 'hold') {
    process.kill(process.pid, 'SIGSTOP');
    return;
  }
  if (plan.how === 'kill') process.kill(process.pid, 'SIGKILL');
  dead = plan.how === 'die';
  throw new InjectedFault(`Injected at ${kind} ${points.length}: ${label}.`);
}

/** Parses `LAGO_FAULT=kill:7`, `fail:7` or `hold:7`, for tests of the command line. */
export function faultPlanOf(text: string | undefined): FaultPlan | undefined {
  const match = /^(fail|kill|hold):(\d{1,6})$/.exec(text ?? '');
  return match === null ? undefined : { how: match[1] as 'fail' | 'kill' | 'hold', at: Number(match[2]) };
}

injectFault(faultPlanOf(process.env['LAGO_FAULT']));
