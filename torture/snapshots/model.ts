import { COUNTING_VMS } from '../../e2e/support/counting-guests.ts';
import { branchOf } from '../../src-shared/snapshot/snapshot-tree.ts';

/** What must be true of an environment after each verb that had an effect. Values only: a verb makes a new one. */

export type Vm = (typeof COUNTING_VMS)[number];
type PerVm<T> = Readonly<Record<Vm, T>>;

/** The environment at one moment. */
export interface Moment {
  readonly running: readonly Vm[];
  /** What was last written to a file on each VM's disks. */
  readonly disk: PerVm<string>;
  /** The same of a file in memory, where the VM runs. */
  readonly memory: PerVm<string>;
  /** The numbers that each VM has sent at least, while all count and are connected. */
  readonly sent: readonly number[] | undefined;
}

export interface Point {
  readonly name: string;
  readonly parent: string | null;
  readonly kinds: PerVm<'memory' | 'disk'>;
  readonly moment: Moment;
}

export interface Model {
  readonly points: readonly Point[];
  readonly current: string | null;
  readonly now: Moment;
}

export function perVm<T>(value: (vm: Vm) => T): PerVm<T> {
  return { a: value('a'), b: value('b'), c: value('c') };
}

/** No snapshot, and VMs that have just begun to count. */
export const BEGUN: Model = {
  points: [],
  current: null,
  now: { running: COUNTING_VMS, disk: perVm(() => ''), memory: perVm(() => ''), sent: [0, 0, 0] },
};

export function pointOf({ points }: Model, name: string): Point {
  const point = points.find((one) => one.name === name);
  if (point === undefined) throw new Error(`The model has no point ${name}.`);
  return point;
}

/** After `lago snapshot`. */
export function taken(model: Model, name: string, diskOnly = false): Model {
  const kinds = perVm((vm) => (!diskOnly && model.now.running.includes(vm) ? ('memory' as const) : ('disk' as const)));
  const point: Point = { name, parent: model.current, kinds, moment: model.now };
  return { ...model, points: [...model.points, point], current: name };
}

/** After `lago revert`. */
export function reverted(model: Model, name: string): Model {
  return { ...model, current: name, now: momentAfter(pointOf(model, name)) };
}

/** How the VMs go on from a snapshot. */
export function momentAfter({ kinds, moment }: Point): Moment {
  const running = COUNTING_VMS.filter((vm) => kinds[vm] === 'memory');
  const memory = perVm((vm) => (running.includes(vm) ? moment.memory[vm] : ''));
  return { ...moment, running, memory, sent: running.length === COUNTING_VMS.length ? moment.sent : undefined };
}

/** After `lago snapshot --delete`, of one or several. */
export function removed(model: Model, names: readonly string[]): Model {
  return names.reduce((rest, name) => {
    const { parent } = pointOf(rest, name);
    return {
      ...rest,
      points: rest.points.filter((one) => one.name !== name).map((one) => (one.parent === name ? { ...one, parent } : one)),
      current: rest.current === name ? parent : rest.current,
    };
  }, model);
}

/** After `lago snapshot --prune --branch`. */
export function pruned(model: Model, name: string): Model {
  return removed(model, branchOf(model.points, name));
}

/** After `lago snapshot --edit --rename`. */
export function renamed(model: Model, from: string, to: string): Model {
  const called = (name: string): string => (name === from ? to : name);
  return {
    ...model,
    points: model.points.map((one) => ({ ...one, name: called(one.name), parent: one.parent === null ? null : called(one.parent) })),
    current: model.current === null ? null : called(model.current),
  };
}

/** After somebody wrote to the files in a VM that runs. */
export function written(model: Model, vm: Vm, text: string): Model {
  const { now } = model;
  return { ...model, now: { ...now, disk: { ...now.disk, [vm]: text }, memory: { ...now.memory, [vm]: text } } };
}

/** After VMs were stopped; those that ran on have lost a connection. */
export function stopped(model: Model, vms: readonly Vm[]): Model {
  const running = model.now.running.filter((vm) => !vms.includes(vm));
  const memory = perVm((vm) => (running.includes(vm) ? model.now.memory[vm] : ''));
  return { ...model, now: { ...model.now, running, memory, sent: undefined } };
}

/** After all were started, and began to count anew. */
export function begunAnew(model: Model): Model {
  return { ...model, now: { ...BEGUN.now, disk: model.now.disk } };
}

/** The VMs have been seen to have sent so many numbers. */
export function seen(model: Model, sent: readonly number[] | undefined): Model {
  return model.now.sent === undefined || sent === undefined ? model : { ...model, now: { ...model.now, sent } };
}
