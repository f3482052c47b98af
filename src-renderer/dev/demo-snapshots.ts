import type { implement } from '@orpc/server';
import type { Contract } from '../../src-shared/contract.ts';
import type { OperationKind } from '../../src-shared/operation.ts';
import { chosenForRemoval } from '../../src-shared/snapshot/snapshot-tree.ts';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { differenceHandlers } from './demo-differences.ts';
import { PLAIN_POINT } from './demo-timeline.ts';

/** What the demo engine does for the handlers. */
interface Demo {
  prefix(id: string): PrefixState | undefined;
  setPrefix(id: string, change: (prefix: PrefixState) => PrefixState): void;
  /** Plays these steps, then calls `done`. */
  run(
    kind: OperationKind,
    label: string,
    prefix: string,
    steps: readonly string[],
    seconds: number,
    done: () => void,
  ): { operation: string };
}

const HOUR = 3_600_000;

/** The calls about snapshots. */
export function snapshotHandlers(os: ReturnType<typeof implement<Contract>>['snapshot'], demo: Demo) {
  const points = (id: string): readonly SnapshotState[] => demo.prefix(id)?.snapshots ?? [];
  const change = (id: string, edit: (all: readonly SnapshotState[]) => SnapshotState[]): void =>
    demo.setPrefix(id, (prefix) => ({ ...prefix, snapshots: edit(prefix.snapshots) }));

  function take(id: string, name: string): void {
    demo.setPrefix(id, (prefix) => {
      const parent = prefix.snapshots.find((snapshot) => snapshot.current)?.name ?? null;
      const made: SnapshotState = {
        ...PLAIN_POINT,
        name,
        createdAt: Date.now(),
        parent,
        current: true,
        vms: Object.fromEntries(prefix.vms.map((vm) => [vm.name, vm.status === 'running' ? 'memory' : 'disk'])),
      };
      return { ...prefix, snapshots: [...prefix.snapshots.map((snapshot) => ({ ...snapshot, current: false })), made] };
    });
  }

  /** Children of what goes depend on its parent. */
  function remove(id: string, names: readonly string[]): void {
    for (const name of names) {
      change(id, (all) => {
        const gone = all.find((one) => one.name === name);
        return all
          .filter((one) => one !== gone)
          .map((one) => ({
            ...one,
            parent: one.parent === name ? (gone?.parent ?? null) : one.parent,
            current: one.current || (gone?.current === true && one.name === gone.parent),
          }));
      });
    }
  }

  return {
    create: os.create.handler(({ input }) =>
      demo.run('snapshot', `Snapshot “${input.name}”`, input.prefix, ['Suspend VMs', 'Save memory and disks', 'Resume VMs'], 3, () =>
        take(input.prefix, input.name),
      ),
    ),
    revert: os.revert.handler(({ input }) =>
      demo.run(
        'revert',
        `Revert ${demo.prefix(input.prefix)?.name} to “${input.name}”`,
        input.prefix,
        ['Snapshot the present', 'Suspend VMs', 'Revert VMs', 'Resume VMs'],
        3,
        () => {
          if (input.first !== undefined) take(input.prefix, input.first);
          change(input.prefix, (all) => all.map((snapshot) => ({ ...snapshot, current: snapshot.name === input.name })));
        },
      ),
    ),
    remove: os.remove.handler(({ input }) =>
      demo.run('delete-snapshot', `Delete snapshot “${input.name}”`, input.prefix, ['Merge layers'], 1, () =>
        remove(input.prefix, [input.name]),
      ),
    ),
    edit: os.edit.handler(({ input: { prefix, name, rename = name, note, tags, pinned } }) =>
      demo.run('edit-snapshot', `Change snapshot “${name}”`, prefix, ['Write the record'], 0.2, () =>
        change(prefix, (all) =>
          all.map((one) =>
            one.name === name
              ? { ...one, name: rename, note: note ?? one.note, tags: tags ?? one.tags, pinned: pinned ?? one.pinned }
              : { ...one, parent: one.parent === name ? rename : one.parent },
          ),
        ),
      ),
    ),
    prune: os.prune.handler(({ input: { prefix, branch } }) => {
      const names = chosenForRemoval(points(prefix), branch === undefined ? { unpinned: true } : { branch });
      return demo.run('prune-snapshots', `Delete ${names.length} snapshots`, prefix, ['Merge layers'], 2, () => remove(prefix, names));
    }),
    removalPlan: os.removalPlan.handler(({ input: { prefix, ...what } }) => {
      const snapshots = [...chosenForRemoval(points(prefix), what)];
      const vms = Object.keys(points(prefix).find(({ name }) => snapshots.includes(name))?.vms ?? {});
      return { snapshots, bytes: snapshots.length * 310 * 1024 ** 2, merges: vms.map((vm) => ({ vm, layers: 1 })) };
    }),
    ...differenceHandlers(os, (vm, prefix) => demo.run('compare', `Compare ${vm}`, prefix, [`Compare VM ${vm}`], 1, () => undefined)),
    revertPlan: os.revertPlan.handler(({ input }) => {
      const point = points(input.prefix).find(({ name }) => name === input.name);
      return {
        since: points(input.prefix).find(({ current }) => current)?.createdAt ?? Date.now() - HOUR,
        vms: (demo.prefix(input.prefix)?.vms ?? []).map(({ name, status }) => ({ vm: name, now: status, to: point?.vms[name] ?? 'disk' })),
        missing: point?.missing ?? [],
      };
    }),
  };
}
