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

/** Verbs that kill an environment of their own, and verbs that one environment lives through; the more often, the more to break. */
const FRESH = ['init', 'init', 'init', 'two inits', 'two inits', 'destroy', 'destroy'] as const;
const KEPT = ['start', 'start', 'stop', 'stop', 'snapshot', 'snapshot', 'snapshot', 'revert', 'revert', 'revert'] as const;
const WITH_DELETE = [...KEPT, 'delete', 'delete'] as const;
const MARKER_EVERY = 20;

/** Both lanes together make the attempts: odd numbers and even ones. Most verbs wait more than they work. */
function* laneOf(torture: Torture, remainder: 0 | 1): Generator<number> {
  const { budget, report } = torture;
  for (const number of attempts(torture, budget.kills * 4)) {
    if (report.kills >= budget.kills && budget.only === undefined) return;
    if (number % 2 === remainder) yield number;
  }
}

/** Makes and ends environments. */
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

/** One environment that lives through all kills, or a new one where it did not. */
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
      // Without "--delete" snapshots only grow: another environment, so that disks stay small.
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

/** Disks are sound, and what the guest wrote at the beginning is there after a boot. */
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
 * Verbs of the real command line are killed at a random moment; then the next verb must work, and everything that should be there be
 * there. One environment lives through most of them, since booting a guest takes its time; others are made and ended beside it.
 */
export async function kills(torture: Torture): Promise<void> {
  const endings = new Endings();
  await Promise.all([freshLane(torture, endings), keptLane(torture, endings)]);
}
