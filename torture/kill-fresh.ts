import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeEnding, expectCode, lago, lagoOk, shown } from './lago.ts';
import { vmStates } from './oracle.ts';
import { expectThat } from './report.ts';
import { leftovers, type Sandbox } from './sandbox.ts';
import { type Attempt, strike, wasStruck } from './struck.ts';

type Verb = 'init' | 'two inits' | 'destroy';

/** A destroyed environment leaves nothing behind. */
async function expectNothingLeft(sandbox: Sandbox): Promise<void> {
  const left = await leftovers(sandbox);
  expectThat(left.length === 0, 'leaks', () => `expected nothing after destroy, there is ${left.join('; ')}`);
}

/** Runs "destroy", which must work in any state; if there is nothing, it may say so. */
async function destroy(sandbox: Sandbox): Promise<void> {
  const there = existsSync(sandbox.prefix);
  expectCode(await lago(sandbox, ['destroy', '-y']), there ? [0] : [0, 2]);
  expectThat(!existsSync(sandbox.prefix), 'leaks', () => 'expected no folder after destroy');
}

/** Runs a verb that a user would try after a kill: any answer but a crash, a stack trace or silence is fine. */
async function look(sandbox: Sandbox, verb: 'status' | 'list'): Promise<void> {
  const outcome = await lago(sandbox, [verb]);
  expectCode(outcome, [0, 2, 4]);
  expectThat(outcome.code === 0 || outcome.stderr.trim() !== '', 'lost', () => `expected a sentence; ${shown(outcome)}`);
}

/** After a kill, "init" of the same name works, unless a complete environment has the name. */
async function initAgain(sandbox: Sandbox): Promise<void> {
  const outcome = await lago(sandbox, ['init']);
  expectCode(outcome, outcome.stderr.includes('already exists') ? [2] : [0]);
  const states = Object.values(await vmStates(sandbox));
  expectThat(states.join() === 'down,down', 'lost', () => `expected two VMs that are down after init, they are ${states.join()}`);
}

async function killInit(sandbox: Sandbox, attempt: Attempt): Promise<boolean> {
  const { random } = attempt;
  // Also kill while the template is being fetched.
  if (random.chance(0.3)) rmSync(join(sandbox.dir, 'store'), { recursive: true, force: true });
  const { struck } = await strike(sandbox, ['init'], attempt, 'init');
  const next = random.pick(['init', 'status', 'list', 'destroy'] as const);
  attempt.note.moment += `, then ${next}`;
  if (next === 'init' || next === 'destroy') await (next === 'init' ? initAgain(sandbox) : destroy(sandbox));
  else await look(sandbox, next);
  if (next !== 'init' && random.chance(0.7)) await initAgain(sandbox);
  return struck;
}

/** Two inits at once: one wins and the other one says so; a killed one does not remove the other one's environment. */
async function killOneOfTwo(sandbox: Sandbox, attempt: Attempt): Promise<boolean> {
  const other = lago(sandbox, ['init']);
  const [{ struck, outcome }, second] = await Promise.all([strikeLoosely(sandbox, attempt), other]);
  const codes = [outcome.code, second.code];
  expectCode(second, [0, 2, 4]);
  const winners = codes.filter((code) => code === 0).length;
  expectThat(
    winners <= 1 && (struck || winners === 1),
    'lost',
    () => `expected one of two inits to win: ${shown(outcome)}\n${shown(second)}`,
  );
  if (winners === 1) await vmStates(sandbox);
  await initAgain(sandbox);
  return struck;
}

/** Like `strike`, for a verb that may also be refused. */
async function strikeLoosely(sandbox: Sandbox, { random, endings, report, note }: Attempt): ReturnType<typeof strike> {
  const ending = endings.draw('init', random);
  note.moment = describeEnding(ending);
  const outcome = await lago(sandbox, ['init'], { ending });
  const struck = wasStruck(outcome, ending);
  if (struck) report.killed(note.verb);
  else expectCode(outcome, [0, 2, 4]);
  return { struck, outcome };
}

async function killDestroy(sandbox: Sandbox, attempt: Attempt): Promise<boolean> {
  const { random } = attempt;
  await lagoOk(sandbox, ['init']);
  const running = random.chance(0.3);
  if (running) await lagoOk(sandbox, ['start']);
  const { struck } = await strike(sandbox, ['destroy', '-y'], attempt, running ? 'destroy running' : 'destroy');
  const next = random.pick(['destroy', 'destroy', 'status', 'list', 'init'] as const);
  attempt.note.moment += `${running ? ', running' : ''}, then ${next}`;
  if (next === 'status' || next === 'list') await look(sandbox, next);
  if (next === 'init') {
    const outcome = await lago(sandbox, ['init']);
    expectCode(outcome, outcome.stderr.includes('already exists') ? [2] : [0]);
  }
  return struck;
}

const VERBS = { init: killInit, 'two inits': killOneOfTwo, destroy: killDestroy } as const;

/** Kills a verb that creates or destroys an environment, then destroys it and checks that nothing is left. */
export async function killFresh(attempt: Attempt & { readonly sandbox: Sandbox; readonly verb: Verb }): Promise<void> {
  const { sandbox, verb, report } = attempt;
  const struck = await VERBS[verb](sandbox, attempt);
  await destroy(sandbox);
  await expectNothingLeft(sandbox);
  if (struck) report.recovered(verb);
}
