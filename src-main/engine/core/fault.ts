/**
 * The one place where a test makes work fail or die: every step of an operation and every effect that has an undo passes here, in
 * order, so that a recipe can be tried at each of them on real files. Costs nothing unless asked for.
 */
export type FaultKind = 'step' | 'effect';

export interface FaultPlan {
  /** Which point, counted from 1 over steps and effects. */
  readonly at: number;
  /**
   * `fail` throws there. `die` throws there and at every point that follows, and nothing is undone or given back any more: what a
   * SIGKILL at this moment leaves. `kill` is that SIGKILL. `hold` stops the process (SIGSTOP) until somebody continues it.
   */
  readonly how: 'fail' | 'die' | 'kill' | 'hold';
}

/** What `fail` and `die` throw. */
export class InjectedFault extends Error {
  override readonly name = 'InjectedFault';
}

/** Points passed while a plan is in force. */
export interface FaultRun {
  readonly points: readonly string[];
  /** Whether the plan has struck. */
  readonly struck: boolean;
}

let plan: FaultPlan | undefined;
let points: string[] = [];
let dead = false;

/** Puts a plan in force (undefined ends it, with a death that it caused) and counts from the beginning. */
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

/** True after `die`: whoever would undo something or tidy up now leaves it as a killed process does. */
export function isDead(): boolean {
  return dead;
}

/** Called at every step and effect, with what it is. */
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

/** `LAGO_FAULT=kill:7`, `fail:7` or `hold:7`: the same for a whole process, for tests of the command line. */
export function faultPlanOf(text: string | undefined): FaultPlan | undefined {
  const match = /^(fail|kill|hold):(\d{1,6})$/.exec(text ?? '');
  return match === null ? undefined : { how: match[1] as 'fail' | 'kill' | 'hold', at: Number(match[2]) };
}

injectFault(faultPlanOf(process.env['LAGO_FAULT']));
