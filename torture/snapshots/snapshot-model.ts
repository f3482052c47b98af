import type { Torture } from '../contract.ts';
import { lagoOk } from '../lago.ts';
import { randomOf } from '../random.ts';
import { expectThat, say } from '../report.ts';
import { leftovers } from '../sandbox.ts';
import { CountingWorld } from './counting-world.ts';
import { BEGUN, seen } from './model.ts';
import { chooseStep, environmentsOf, expectForkAndDestroy, type Stand } from './steps.ts';

const STEPS = 60;
const SHORT_STEPS = 8;

/**
 * Random steps with the snapshots of three VMs that count and talk to each other, held against a model after each of them: the tree, which
 * VMs run, their files on disks and in memory, that they count on and none is ahead of another, the files of the environment, processes.
 * Ends with the first step after which something is different, and tells the steps that led there.
 */
export async function snapshotModel(torture: Torture): Promise<void> {
  const { seed, budget, report } = torture;
  const world = new CountingWorld();
  const done: string[] = [];
  const most = budget.steps ?? (budget.short ? SHORT_STEPS : STEPS);
  try {
    await world.build();
    let stand: Stand = { model: seen(BEGUN, await world.expectModel('default', BEGUN)), fork: undefined, unmerged: false };
    for (let number = 1; number <= most && Date.now() < budget.until; number++) {
      budget.signal.throwIfAborted();
      const chosen = chooseStep({ random: randomOf(seed, 'snapshot-model', number), number, stand });
      done.push(chosen.words);
      say(`snapshot-model: ${number} ${chosen.words}`);
      const next = await chosen.run(world);
      const sent = await world.expectModel('default', next.model, { merged: !next.unmerged });
      await world.expectProcesses(environmentsOf(next));
      stand = { ...next, model: seen(next.model, sent) };
      report.steps += 1;
    }
    if (stand.fork !== undefined) await expectForkAndDestroy(world, stand.fork);
    await world.expectModel('default', stand.model, { merged: false });
    await lagoOk(world.sandbox, ['destroy', '--yes']);
    const left = await leftovers(world.sandbox);
    expectThat(left.length === 0, 'leaks', () => `expected nothing after destroy, there is ${left.join('; ')}`);
  } catch (error) {
    budget.signal.throwIfAborted();
    const steps = done.map((words, index) => `\n${index + 1} ${words}`).join('');
    report.failed('snapshot-model', `--steps ${done.length}`, `after these steps:${steps}`, error);
  } finally {
    world.remove();
  }
}
