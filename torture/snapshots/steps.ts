import { COUNTING_VMS } from '../../e2e/support/counting-guests.ts';
import { lagoOk } from '../lago.ts';
import type { Random } from '../random.ts';
import type { CountingWorld } from './counting-world.ts';
import {
  BEGUN,
  begunAnew,
  type Model,
  momentAfter,
  pointOf,
  pruned,
  removed,
  renamed,
  reverted,
  stopped,
  taken,
  type Vm,
  written,
} from './model.ts';

/** Disks stay small and a step short. */
const MOST_POINTS = 9;

/** A fork that stands still beside the environment, and how it has to go on. */
export interface Fork {
  readonly name: string;
  readonly model: Model;
}

/** The environment and its fork, as they have to be. */
export interface Stand {
  readonly model: Model;
  readonly fork: Fork | undefined;
  /** Layers may be there that only a fork needed; the next verb that merges layers merges them too. */
  readonly unmerged: boolean;
}

/** A step that was chosen: what it does, in words, and how. */
export interface Chosen {
  readonly words: string;
  /** Does it, and returns how everything has to be afterwards. */
  readonly run: (world: CountingWorld) => Promise<Stand>;
}

interface Choice {
  readonly random: Random;
  readonly number: number;
  readonly stand: Stand;
}

type Maker = (choice: Choice) => Chosen;

function some<T>(random: Random, all: readonly T[]): T {
  const [first, ...rest] = all;
  if (first === undefined) throw new Error('There is nothing to choose from.');
  return random.pick([first, ...rest]);
}

const anyPoint = ({ random, stand }: Choice): string => some(random, stand.model.points).name;

/** A verb of the command line, and its effect on the model. */
function verb({ stand }: Choice, args: readonly string[], effect: (model: Model) => Model, merges = false): Chosen {
  return {
    words: args.join(' '),
    async run({ sandbox }) {
      await lagoOk(sandbox, args);
      return { ...stand, model: effect(stand.model), unmerged: stand.unmerged && !merges };
    },
  };
}

const take: Maker = (choice) => verb(choice, ['snapshot', `s${choice.number}`], (model) => taken(model, `s${choice.number}`));

const takeDisks: Maker = (choice) =>
  verb(choice, ['snapshot', '--disk-only', `d${choice.number}`], (model) => taken(model, `d${choice.number}`, true));

const revert: Maker = (choice) => {
  const name = anyPoint(choice);
  return verb(choice, ['revert', name], (model) => reverted(model, name), true);
};

const revertKeeping: Maker = (choice) => {
  const [name, kept] = [anyPoint(choice), `k${choice.number}`];
  return verb(choice, ['revert', name, '--keep', kept], (model) => reverted(taken(model, kept), name), true);
};

const remove: Maker = (choice) => {
  const name = anyPoint(choice);
  return verb(choice, ['snapshot', '--delete', name], (model) => removed(model, [name]), true);
};

const prune: Maker = (choice) => {
  const name = anyPoint(choice);
  return verb(choice, ['snapshot', '--prune', '--branch', name], (model) => pruned(model, name), true);
};

const rename: Maker = (choice) => {
  const [from, to] = [anyPoint(choice), `r${choice.number}`];
  return verb(choice, ['snapshot', '--edit', from, '--rename', to], (model) => renamed(model, from, to));
};

const stopOne: Maker = (choice) => {
  const vm = some(choice.random, choice.stand.model.now.running);
  return verb(choice, ['stop', vm], (model) => stopped(model, [vm]));
};

const edit: Maker = ({ random, number, stand }) => {
  const vm = some(random, stand.model.now.running);
  const text = `${vm}${number}`;
  return {
    words: `write "${text}" in ${vm}`,
    async run(world) {
      await world.write(vm, text);
      return { ...stand, model: written(stand.model, vm, text) };
    },
  };
};

const startAll: Maker = ({ stand }) => ({
  words: 'start all VMs anew',
  async run(world) {
    await world.begin();
    return { ...stand, model: begunAnew(stand.model) };
  },
});

/** Goes back to an old point, changes something there, and takes another one. */
const branch: Maker = ({ random, number, stand }) => {
  const from = some(random, stand.model.points);
  const to = `b${number}`;
  const vm: Vm | undefined = momentAfter(from).running[0];
  return {
    words: `revert ${from.name}, write "${to}" in ${vm ?? 'no VM'}, snapshot ${to}`,
    async run(world) {
      await lagoOk(world.sandbox, ['revert', from.name]);
      let model = reverted(stand.model, from.name);
      if (vm !== undefined) {
        await world.write(vm, to);
        model = written(model, vm, to);
      }
      await lagoOk(world.sandbox, ['snapshot', to]);
      return { ...stand, model: taken(model, to), unmerged: false };
    },
  };
};

/** A fork of a point has that point, and one of the present none. */
function forked(model: Model, point: string | undefined): Model {
  if (point === undefined) return { ...BEGUN, now: model.now };
  const from = pointOf(model, point);
  return { points: [{ ...from, parent: null }], current: point, now: momentAfter(from) };
}

const fork: Maker = ({ random, number, stand }) => {
  const name = `f${number}`;
  const point = random.chance(0.5) && stand.model.points.length > 0 ? some(random, stand.model.points).name : undefined;
  const args = ['fork', ...(point === undefined ? [] : [point]), name];
  return {
    words: args.join(' '),
    async run(world) {
      await lagoOk(world.sandbox, args);
      const model = forked(stand.model, point);
      await world.expectModel(name, model);
      // It stands still until it is looked at again: two cores are not enough for both.
      if (model.now.running.length > 0) await lagoOk(world.sandbox, ['--prefix-name', name, 'suspend']);
      return { ...stand, fork: { name, model } };
    },
  };
};

const endFork: Maker = ({ stand }) => ({
  words: `let ${stand.fork?.name} go on, and destroy it`,
  async run(world) {
    if (stand.fork !== undefined) await expectForkAndDestroy(world, stand.fork);
    return { ...stand, fork: undefined, unmerged: true };
  },
});

/** The fork goes on from where it was, whatever has happened to the other environment since; then it is destroyed. */
export async function expectForkAndDestroy(world: CountingWorld, { name, model }: Fork): Promise<void> {
  if (model.now.running.length > 0) await lagoOk(world.sandbox, ['--prefix-name', name, 'resume']);
  await world.expectModel(name, model, { merged: false });
  const [point] = model.points;
  if (point !== undefined) {
    await lagoOk(world.sandbox, ['--prefix-name', name, 'revert', point.name]);
    await world.expectModel(name, reverted(model, point.name));
  }
  await lagoOk(world.sandbox, ['--prefix-name', name, 'destroy', '--yes']);
}

/** Steps that are possible, as often as they are to be chosen. */
function possible({ model, fork: there }: Stand): readonly Maker[] {
  const { points, now } = model;
  const [isWhole, isUp] = [now.running.length === COUNTING_VMS.length, now.running.length > 0];
  const full = points.length >= MOST_POINTS;
  return [
    ...(full ? [remove, prune] : [take, take, take, takeDisks]),
    ...(isUp ? [edit, edit, edit] : []),
    ...(points.length > 0 ? [revert, revert, remove, remove, prune, rename] : []),
    ...(points.length > 0 && !full ? [branch, branch, revertKeeping] : []),
    ...(there === undefined ? [fork, fork] : [endFork, endFork]),
    ...(isWhole ? [stopOne] : [startAll, startAll, startAll, startAll]),
  ];
}

export function chooseStep(choice: Choice): Chosen {
  return some(choice.random, possible(choice.stand))(choice);
}

/** How many environments have VMs that run, or could. */
export function environmentsOf({ fork: there }: Stand): number {
  return there === undefined ? 1 : 2;
}
