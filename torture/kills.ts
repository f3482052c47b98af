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

/**
 * Verbs of the real command line are killed at a random moment; then the next verb must work, and everything that should be there be
 * there. One environment lives through most of them, since booting a guest takes its time.
 */
export async function kills(torture: Torture): Promise<void> {
  const { budget, report, seed } = torture;
  const endings = new Endings();
  let kept: Environment | undefined;
  let fresh: Sandbox | undefined;
  let canDelete: boolean | undefined;
  let sinceMarker = 0;
  let number = 0;
  try {
    for (number of attempts(torture, budget.kills * 3)) {
      if (report.kills >= budget.kills) break;
      const random = randomOf(seed, 'kills', number);
      const note: Note = { verb: '', moment: '', fresh: random.chance(0.35) };
      try {
        if (note.fresh) {
          const verb = random.pick(FRESH);
          note.verb = verb;
          fresh ??= makeSandbox();
          await killFresh({ sandbox: fresh, verb, random, endings, report, note });
        } else {
          if (kept === undefined) {
            const next = new Environment();
            kept = next;
            await next.build();
          }
          canDelete ??= await hasOption(kept.sandbox, 'snapshot', '--delete');
          const verb = canDelete ? random.pick(WITH_DELETE) : random.pick(KEPT);
          note.verb = verb;
          await killKept({ environment: kept, verb, canDelete, random, endings, report, note });
          if (++sinceMarker % MARKER_EVERY === 0) await kept.expectMarker();
        }
      } catch (error) {
        budget.signal.throwIfAborted();
        report.failed('kills', number, `${note.verb} ${note.moment}`, error, note.verb || undefined);
        if (note.fresh) {
          if (fresh !== undefined) removeSandbox(fresh);
          fresh = undefined;
        } else if (kept !== undefined && !(await kept.repair())) {
          removeSandbox(kept.sandbox);
          kept = undefined;
        }
      }
      // Without "--delete" snapshots only grow: another environment, so that disks stay small.
      if (kept !== undefined && canDelete === false && kept.snapshots.size > 6) {
        await kept.remove();
        kept = undefined;
      }
      if (number % 10 === 0) say(`kills: ${report.kills} after ${number} attempts`);
    }
    if (kept !== undefined) {
      try {
        await kept.arrange(false);
        expectSoundImages(kept.sandbox);
        await kept.expectMarker();
        await kept.arrange(false);
        await kept.arrange(true);
        await kept.readMarker();
      } catch (error) {
        report.failed('kills', number, 'the last look at the environment that lived through them', error);
      }
    }
  } finally {
    if (kept !== undefined) removeSandbox(kept.sandbox);
    if (fresh !== undefined) removeSandbox(fresh);
  }
}
