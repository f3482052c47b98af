import type { Note } from './contract.ts';
import type { Endings } from './endings.ts';
import { type Call, describeEnding, type Ending, expectCode, lago, type Outcome, shown } from './lago.ts';
import type { Random } from './random.ts';
import { expectThat, type Report } from './report.ts';
import type { Sandbox } from './sandbox.ts';

export interface Attempt {
  readonly random: Random;
  readonly endings: Endings;
  readonly report: Report;
  readonly note: Note;
}

/** Whether the verb was killed before it ended. */
export function wasStruck({ code, late }: Outcome, ending: Ending): boolean {
  // After Ctrl-C a verb exits with 130 by itself (having undone its work) or is ended by the signal.
  return !late && (code === undefined || ('afterMs' in ending && ending.signal === 'SIGINT' && code === 130));
}

/**
 * Runs a verb and ends it at a random moment. Returns whether it was struck; if it ended before that, it must have succeeded, and no
 * kill is counted.
 */
export async function strike(
  sandbox: Sandbox,
  args: readonly string[],
  { random, endings, report, note }: Attempt,
  key: string,
  call: Call = {},
): Promise<{ readonly struck: boolean; readonly outcome: Outcome }> {
  const ending = endings.draw(key, random);
  note.moment = describeEnding(ending);
  const outcome = await lago(sandbox, args, { ...call, ending });
  expectThat(!outcome.late, 'lost', () => `expected it to end; ${shown(outcome)}`);
  const struck = wasStruck(outcome, ending);
  if (struck) report.killed(note.verb);
  else {
    endings.tooLate(key, ending, outcome.ms);
    expectCode(outcome, [0]);
  }
  return { struck, outcome };
}
