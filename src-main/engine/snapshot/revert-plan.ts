import type { RevertPlan } from '../../../src-shared/snapshot/snapshot-plans.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { findSnapshot, recordOf } from './snapshot-parts.ts';

/**
 * What reverting to a snapshot would do to an environment in this state. Changes nothing. `snapshot.missing`. What is lost is what was done
 * since the present was last the same as a snapshot that is kept: since that was taken, or reverted to.
 */
export function planRevert(prefix: Prefix, state: PrefixState, name: string): RevertPlan {
  const { vms } = findSnapshot(prefix, name);
  const { current, snapshots, createdAt, revertedAt = 0 } = recordOf(prefix);
  const base = snapshots.find((snapshot) => snapshot.name === current);
  const point = state.snapshots.find((snapshot) => snapshot.name === name);
  return {
    since: Math.max(base?.createdAt ?? createdAt, revertedAt),
    vms: state.vms.flatMap((vm) => {
      const to = vms[vm.name];
      return to === undefined ? [] : [{ vm: vm.name, now: vm.status, to }];
    }),
    missing: point?.missing ?? [],
    ...(point?.changed === undefined ? {} : { changed: point.changed }),
  };
}
