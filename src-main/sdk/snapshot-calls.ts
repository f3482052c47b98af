import type { TextDiff } from '../../src-shared/collection.ts';
import type { Changes } from '../../src-shared/snapshot/changes.ts';
import type { RemovalChoice, RemovalPlan, RevertPlan } from '../../src-shared/snapshot/snapshot-plans.ts';
import type { Engine, SnapshotExportResult } from '../engine/index.ts';
import type { CallOptions, Follow } from './follow.ts';

export interface ForkOptions extends CallOptions {
  /** The snapshot that it begins with; without one, the present. */
  readonly snapshot?: string | undefined;
}

/** Two points of a VM: since a snapshot, until another one or, without it, now. */
export interface Between extends CallOptions {
  readonly from: string;
  readonly to?: string | undefined;
}

/** What can be done with snapshots beside the verbs. `Made`: an environment as an object. */
export interface SnapshotCalls<Made> {
  /** Makes a running environment beside this one that goes on from a snapshot of it, or from its present. `prefix.exists`. */
  fork(name: string, options?: ForkOptions): Promise<Made>;
  /** Makes several of the same moment at once, `NAME-1`, `NAME-2`… */
  forkMany(name: string, count: number, options?: ForkOptions): Promise<readonly Made[]>;
  /** Reads what changed on the disks of a VM between two points; no VM is started for it. */
  changes(vm: string, between: Between): Promise<Changes>;
  /** How the text of a file differs that `changes` found between the same points. */
  changedText(vm: string, path: string, between: Between): Promise<TextDiff>;
  /** What deleting snapshots would do: `{ name }`, `{ branch }` or `{ unpinned: true }`. Changes nothing. */
  removalPlan(what: RemovalChoice): Promise<RemovalPlan>;
  /** What reverting to a snapshot would do. Changes nothing. */
  revertPlan(name: string): Promise<RevertPlan>;
  /** Writes a snapshot to a new or empty folder (absolute), from which `resume` of an engine goes on, also on another machine. */
  exportSnapshot(name: string, destination: string, options?: CallOptions): Promise<SnapshotExportResult>;
}

/** `open` makes the object of an environment of a fork. */
export function snapshotCalls<Made>(
  engine: Engine,
  path: string,
  follow: Follow,
  open: (path: string, name: string) => Made,
): SnapshotCalls<Made> {
  async function forks(name: string, count: number | undefined, options: ForkOptions): Promise<readonly Made[]> {
    const { snapshot, signal } = options;
    const made = await follow((action) => engine.prefix.fork(path, { name, snapshot, count }, action), { signal });
    return made.map((fork) => open(fork.path, fork.name));
  }
  return {
    async fork(name, options = {}) {
      const [made] = await forks(name, undefined, options);
      if (made === undefined) throw new Error('A fork was made and is not there.');
      return made;
    },
    forkMany: async (name, count, options = {}) => await forks(name, count, options),
    changes: async (vm, { from, to = null, signal }) =>
      await follow((action) => engine.snapshot.compare(path, { vm, from, to }, action), { signal }),
    changedText: async (vm, file, { from, to = null, signal }) => await engine.snapshot.changedText(path, { vm, from, to }, file, signal),
    removalPlan: async (what) => await engine.snapshot.removalPlan(path, what),
    revertPlan: async (name) => await engine.snapshot.revertPlan(path, name),
    exportSnapshot: async (snapshot, destination, options) =>
      await follow((action) => engine.prefix.exportSnapshot(path, { snapshot, destination }, action), options),
  };
}
