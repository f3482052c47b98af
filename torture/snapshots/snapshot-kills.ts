import { existsSync } from 'node:fs';
import type { Torture } from '../contract.ts';
import { describeEnding, type Ending, expectCode, lago, lagoOk } from '../lago.ts';
import { type Random, randomOf } from '../random.ts';
import { expectThat, say } from '../report.ts';
import { leftovers } from '../sandbox.ts';
import { CountingWorld } from './counting-world.ts';
import { BEGUN, begunAnew, type Model, momentAfter, pointOf, removed, reverted, seen, taken, type Vm, written } from './model.ts';

const VERBS = ['take', 'revert', 'fork', 'delete'] as const;
type Verb = (typeof VERBS)[number];

const FORK = 'fork';
const BASE = 'base';
/** Layers and memory of so many snapshots are kept beside `BASE`. */
const MOST_POINTS = 4;
/** Starting Node takes this long, before which there is nothing to kill. */
const NODE_MS = 80;

/** A verb that is to be killed, and what it does when it gets through. */
interface Plan {
  readonly verb: Verb;
  readonly args: readonly string[];
  readonly effect: (model: Model) => Model;
  /** What the same verb says when it has nothing more to do. */
  readonly done: RegExp;
}

/** The environment that lives through all kills. */
class Victim {
  readonly world = new CountingWorld();
  model: Model = BEGUN;
  #number = 0;
  /** How long each verb takes here, ms. */
  readonly #usualMs = new Map<string, number>();

  async build(): Promise<void> {
    await this.world.build();
    await this.write('a');
    await this.#apply(['snapshot', BASE], (model) => taken(model, BASE));
  }

  /** Measures each verb once, undisturbed. */
  async measure(): Promise<void> {
    const time = async (verb: Verb, args: readonly string[], effect: (model: Model) => Model): Promise<void> => {
      const began = performance.now();
      await this.#apply(args, effect);
      this.#usualMs.set(verb, performance.now() - began);
    };
    await time('take', ['snapshot', 'first'], (model) => taken(model, 'first'));
    await time('revert', ['revert', BASE], (model) => reverted(model, BASE));
    await time('fork', ['fork', FORK], (model) => model);
    await this.destroyFork();
    await this.#apply(['revert', 'first'], (model) => reverted(model, 'first'));
    await time('delete', ['snapshot', '--delete', 'first'], (model) => removed(model, ['first']));
    say(`snapshot-kills: ${[...this.#usualMs].map(([verb, ms]) => `${verb} ${Math.round(ms)} ms`).join(', ')}`);
  }

  newName(): string {
    return `s${++this.#number}`;
  }

  ending(verb: Verb, random: Random): Ending {
    const usual = this.#usualMs.get(verb) ?? 2000;
    return { afterMs: Math.round(NODE_MS + random.next() * usual), signal: 'SIGKILL', group: random.chance(0.5) };
  }

  /** It got through: later kills come earlier, and those of a slower machine later again. */
  took(verb: Verb, ms: number): void {
    this.#usualMs.set(verb, (this.#usualMs.get(verb) ?? ms) * 0.7 + ms * 0.3);
  }

  async write(vm: Vm): Promise<void> {
    const text = `${vm}${++this.#number}`;
    await this.world.write(vm, text);
    this.model = written(this.model, vm, text);
  }

  async #apply(args: readonly string[], effect: (model: Model) => Model): Promise<void> {
    await lagoOk(this.world.sandbox, args);
    this.model = effect(this.model);
  }

  /** Something different from all snapshots, and a choice of them. */
  async prepare(random: Random): Promise<void> {
    await this.write(random.pick(['a', 'b', 'c']));
    const others = this.model.points.filter(({ name }) => name !== BASE);
    if (others.length === 0 || random.chance(0.3)) {
      const name = this.newName();
      await this.#apply(['snapshot', name], (model) => taken(model, name));
      await this.write(random.pick(['a', 'b', 'c']));
    }
    const [first] = others;
    if (first !== undefined && others.length >= MOST_POINTS) {
      await this.#apply(['snapshot', '--delete', first.name], (model) => removed(model, [first.name]));
    }
  }

  plan(random: Random): Plan {
    const verb = random.pick(VERBS);
    const [some = BASE, ...more] = this.model.points.map(({ name }) => name);
    const name = random.pick([some, ...more]);
    const [, other = name, ...others] = this.model.points.map((point) => point.name);
    switch (verb) {
      case 'take': {
        const own = this.newName();
        return { verb, args: ['snapshot', own], effect: (model) => taken(model, own), done: /has a snapshot ".*" already/ };
      }
      case 'revert':
        return { verb, args: ['revert', name], effect: (model) => reverted(model, name), done: /never/ };
      case 'fork':
        return { verb, args: random.chance(0.5) ? ['fork', FORK] : ['fork', name, FORK], effect: (model) => model, done: /already exists/ };
      case 'delete': {
        const gone = random.pick([other, ...others]);
        const effect = (model: Model): Model => removed(model, [gone]);
        return { verb, args: ['snapshot', '--delete', gone], effect, done: /has no snapshot/ };
      }
    }
  }

  hasFork(): boolean {
    return existsSync(this.world.root(FORK));
  }

  async destroyFork(): Promise<void> {
    await lagoOk(this.world.sandbox, ['--prefix-name', FORK, 'destroy', '--yes']);
  }

  /** A fork is there as a whole: after its next verb its VMs are as they have to be. */
  async expectFork({ args }: Plan, before: Model): Promise<void> {
    const [, point] = args;
    const from = args.length === 3 && point !== undefined ? pointOf(before, point) : undefined;
    await lagoOk(this.world.sandbox, ['--prefix-name', FORK, 'start']);
    const wanted: Model =
      from === undefined
        ? { ...BEGUN, now: before.now }
        : { points: [{ ...from, parent: null }], current: from.name, now: momentAfter(from) };
    await this.world.expectModel(FORK, wanted, { merged: false });
  }
}

/** Which of the two the environment is like, by the names of its points and the files of its VMs. */
async function whichOf(victim: Victim, before: Model, after: Model): Promise<Model> {
  if (before === after) return before;
  const { stdout } = await lagoOk(victim.world.sandbox, ['-f', 'json', 'snapshot', '--tree']);
  const names = (JSON.parse(stdout) as readonly { readonly name: string }[]).map(({ name }) => name).sort();
  const fit = [before, after].filter(
    ({ points }) =>
      points
        .map(({ name }) => name)
        .sort()
        .join() === names.join(),
  );
  const [first, second] = fit;
  expectThat(first !== undefined, 'lost', () => `expected the snapshots of before or after, there are ${names.join(', ')}`);
  if (first === undefined) return before;
  const found = await victim.world.expectOneOf('default', second === undefined ? [first.now] : [first.now, second.now]);
  return found === 1 && second !== undefined ? second : first;
}

/** The next verb that a user might type. Returns how the environment has to be, as far as that is known without a look. */
async function follow(
  victim: Victim,
  plan: Plan,
  before: Model,
  random: Random,
): Promise<{ readonly said: string; readonly model: Model }> {
  const { sandbox } = victim.world;
  const after = plan.effect(before);
  const next = random.pick(['start', 'start', 'same', 'same', 'status', 'snapshot', 'revert']);
  if (next === 'status') await lagoOk(sandbox, ['status']);
  if (next === 'same') {
    const outcome = await lago(sandbox, plan.args);
    expectCode(outcome, plan.done.test(outcome.stderr) ? [2] : [0]);
    return { said: next, model: outcome.code === 0 ? after : await whichOf(victim, before, after) };
  }
  if (next === 'revert') {
    await lagoOk(sandbox, ['revert', BASE]);
    return { said: next, model: await whichOf(victim, reverted(before, BASE), reverted(after, BASE)) };
  }
  if (next === 'snapshot') {
    const name = victim.newName();
    await lagoOk(sandbox, ['snapshot', name]);
    return { said: next, model: await whichOf(victim, taken(before, name), taken(after, name)) };
  }
  await lagoOk(sandbox, ['start']);
  return { said: next === 'status' ? 'status, start' : next, model: await whichOf(victim, before, after) };
}

/** One attempt: prepares, kills, goes on, and looks at everything. Returns whether the verb was killed before it ended. */
async function attempt(victim: Victim, torture: Torture, number: number, told: { moment: string; verb: string }): Promise<boolean> {
  const { seed, report } = torture;
  const random = randomOf(seed, 'snapshot-kills', number);
  await victim.prepare(random);
  const plan = victim.plan(random);
  const before = victim.model;
  const ending = victim.ending(plan.verb, random);
  told.verb = plan.verb;
  told.moment = `${plan.args.join(' ')}, ${describeEnding(ending)}`;
  const outcome = await lago(victim.world.sandbox, plan.args, { ending });
  const struck = outcome.code === undefined && !outcome.late;
  if (struck) {
    report.killed(plan.verb);
    const { said, model } = await follow(victim, plan, before, random);
    told.moment += `, then ${said}`;
    victim.model = model;
  } else {
    expectCode(outcome, [0]);
    victim.took(plan.verb, outcome.ms);
    victim.model = plan.effect(before);
  }
  // The layers that a fork had too, and has no more, are merged later.
  const merged = false;
  victim.model = seen(victim.model, await victim.world.expectModel('default', victim.model, { merged }));
  if (victim.hasFork()) {
    expectThat(plan.verb === 'fork', 'leaks', () => 'expected no fork');
    await victim.expectFork(plan, before);
    await victim.world.expectProcesses(2);
    await victim.destroyFork();
  }
  await victim.world.expectProcesses(1);
  if (struck) report.recovered(plan.verb);
  return struck;
}

/** Goes on with the same environment where that is possible, so that one failure does not hide others. */
async function repair(victim: Victim): Promise<boolean> {
  try {
    const { world } = victim;
    if (victim.hasFork()) await victim.destroyFork();
    await lagoOk(world.sandbox, ['revert', BASE]);
    await lagoOk(world.sandbox, ['snapshot', '--prune', '--branch', BASE]);
    await world.begin();
    victim.model = begunAnew({ ...BEGUN, now: { ...BEGUN.now, disk: pointOf(victim.model, BASE).moment.disk } });
    await lagoOk(world.sandbox, ['snapshot', BASE]);
    victim.model = taken(victim.model, BASE);
    await world.expectModel('default', victim.model, { merged: false });
    return true;
  } catch {
    // The failure has been reported; the caller makes a new environment.
    return false;
  }
}

/**
 * SIGKILL of the command line, in half of the cases with the programs that it has started, at random moments of taking, reverting, forking
 * and deleting, spread evenly over the time that each takes. After the next verb the environment is as before or as afterwards, its VMs
 * count on from there, and nothing is left behind.
 */
export async function snapshotKills(torture: Torture): Promise<void> {
  const { budget, report } = torture;
  let victim: Victim | undefined;
  let killed = 0;
  try {
    for (let number = 1; killed < budget.kills && number <= budget.kills * 4 && Date.now() < budget.until; number++) {
      budget.signal.throwIfAborted();
      const told = { verb: '', moment: 'before the verb' };
      try {
        if (victim === undefined) {
          victim = new Victim();
          await victim.build();
          await victim.measure();
        }
        if (await attempt(victim, torture, number, told)) killed += 1;
        say(`snapshot-kills: ${killed} of ${budget.kills}: ${told.moment}`);
      } catch (error) {
        budget.signal.throwIfAborted();
        report.failed('snapshot-kills', number, told.moment, error, told.verb === '' ? undefined : told.verb);
        killed += 1;
        if (victim !== undefined && !(await repair(victim))) {
          victim.world.remove();
          victim = undefined;
        }
      }
    }
    if (victim === undefined) return;
    await victim.world.expectModel('default', victim.model, { merged: false });
    await lagoOk(victim.world.sandbox, ['destroy', '--yes']);
    const left = await leftovers(victim.world.sandbox);
    expectThat(left.length === 0, 'leaks', () => `expected nothing after destroy, there is ${left.join('; ')}`);
  } catch (error) {
    budget.signal.throwIfAborted();
    report.failed('snapshot-kills', 0, 'the last look', error);
  } finally {
    victim?.world.remove();
  }
}
