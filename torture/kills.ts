import { attempts, type Note, type Torture } from './contract.ts';
import { Endings } from './endings.ts';
import { Environment } from './environment.ts';
import { killFresh } from './kill-fresh.ts';
import { killKept } from './kill-kept.ts';
import { hasOption } from './lago.ts';
import { expectSoundImages } from './oracle.ts';
import { randomOf } from './random.ts';
import { say } from './report.ts';
import { makeSandbox, removeSandbox, type Sandbox } from './sandbox.ts';

/** Verbs for throw-away environments, and verbs for the kept one. Those with more to break occur more often. */
const FRESH = ['init', 'init', 'init', 'two inits', 'two inits', 'destroy', 'destroy'] as const;
const KEPT = ['start', 'start', 'stop', 'stop', 'snapshot', 'snapshot', 'snapshot', 'revert', 'revert', 'revert'] as const;
const WITH_DELETE = [...KEPT, 'delete', 'delete'] as const;
const MARKER_EVERY = 20;

/** The attempts of one lane: odd or even numbers. Two lanes, because most verbs mainly wait. */
function* laneOf(torture: Torture, remainder: 0 | 1): Generator<number> {
  const { budget, report } = torture;
  for (const number of attempts(torture, budget.kills * 4)) {
    if (report.kills >= budget.kills && budget.only === undefined) return;
    if (number % 2 === remainder) yield number;
  }
}

/** Creates and destroys environments. */
async function freshLane(torture: Torture, endings: Endings): Promise<void> {
  const { budget, report, seed } = torture;
  let sandbox: Sandbox | undefined;
  try {
    for (const number of laneOf(torture, 1)) {
      const random = randomOf(seed, 'kills', number);
      const verb = random.pick(FRESH);
      const note: Note = { verb, moment: '' };
      try {
        sandbox ??= makeSandbox();
        await killFresh({ sandbox, verb, random, endings, report, note });
      } catch (error) {
        budget.signal.throwIfAborted();
        report.failed('kills', number, `${verb} ${note.moment}`, error, verb);
        if (sandbox !== undefined) removeSandbox(sandbox);
        sandbox = undefined;
      }
      if (number % 20 === 1) say(`kills: ${report.kills}`);
    }
  } finally {
    if (sandbox !== undefined) removeSandbox(sandbox);
  }
}

/** Uses one environment for all kills, and a new one whenever it did not survive. */
async function keptLane(torture: Torture, endings: Endings): Promise<void> {
  const { budget, report, seed } = torture;
  let environment: Environment | undefined;
  let canDelete: boolean | undefined;
  let tried = 0;
  try {
    for (const number of laneOf(torture, 0)) {
      const random = randomOf(seed, 'kills', number);
      const note: Note = { verb: '', moment: '' };
      try {
        if (environment === undefined) {
          environment = new Environment();
          await environment.build();
        }
        canDelete ??= await hasOption(environment.sandbox, 'snapshot', '--delete');
        const verb = canDelete ? random.pick(WITH_DELETE) : random.pick(KEPT);
        note.verb = verb;
        await killKept({ environment, verb, canDelete, random, endings, report, note });
        if (++tried % MARKER_EVERY === 0) await environment.expectMarker();
      } catch (error) {
        budget.signal.throwIfAborted();
        report.failed('kills', number, `${note.verb} ${note.moment}`, error, note.verb === '' ? undefined : note.verb);
        if (environment !== undefined && !(await environment.repair())) {
          removeSandbox(environment.sandbox);
          environment = undefined;
        }
      }
      // Without "--delete" snapshots only accumulate: use a new environment, so that disks stay small.
      if (environment !== undefined && canDelete === false && environment.snapshots.size > 6) {
        await environment.remove();
        environment = undefined;
      }
    }
    if (environment !== undefined) await lastLook(torture, environment);
  } finally {
    if (environment !== undefined) removeSandbox(environment.sandbox);
  }
}

/** At the end: disks are sound, and after a boot the guest's first data is still there. */
async function lastLook({ budget, report }: Torture, environment: Environment): Promise<void> {
  try {
    await environment.arrange(false);
    expectSoundImages(environment.sandbox);
    await environment.expectMarker();
    await environment.arrange(false);
    await environment.arrange(true);
    await environment.readMarker();
  } catch (error) {
    budget.signal.throwIfAborted();
    report.failed('kills', 0, 'the last look at the environment that lived through them', error);
  }
}

/**
 * Kills verbs of the real command line at random moments; then the next verb must work, and all expected data must be there. Most kills
 * use one kept environment, since booting a guest takes time; others are created and destroyed in parallel.
 */
export async function kills(torture: Torture): Promise<void> {
  const endings = new Endings();
  await Promise.all([freshLane(torture, endings), keptLane(torture, endings)]);
}
