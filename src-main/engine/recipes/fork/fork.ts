import { basename, dirname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { beginWork, settlePending } from '../../prefix/journal.ts';
import { type Prefix, readPrefix } from '../../prefix/prefix.ts';
import type { SnapshotRecord } from '../../prefix/record.ts';
import { newPrefixName } from '../../prefix/workdir.ts';
import { activeVms } from '../../runtime/bring-down.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { deleteSnapshotOf } from '../../snapshot/delete-snapshot.ts';
import { requireUnchanged } from '../../snapshot/layers/frozen-files.ts';
import { findSnapshot, freeSnapshotName, recordOf } from '../../snapshot/snapshot-parts.ts';
import { checkSnapshotName, takeSnapshotOf, usesLayers } from '../../snapshot/take-snapshot.ts';
import { openForChange } from '../recover.ts';
import { beginCopy, type Copy, fillCopy, type Locks, letGo, restoreCopy, tellGuests } from './copy.ts';
import type { ForkRequest } from './fork-request.ts';

/** Merging the layer of a point that only the fork needed. */
const UNDO_MS = 15 * 60_000;

/**
 * Makes environments that go on from a snapshot of this one, or from its present: with the processes, memory and addresses of its VMs, each
 * on a host of its own, beside this one. Disks are shared by layers: nothing is copied. Returns the new prefixes' paths. All or nothing.
 * `prefix.exists`, `snapshot.missing`, `not-available` where environments share a host, `snapshot.unsupported` for snapshots of older kind.
 */
export async function forkEnvironment(context: RecipeContext, root: string, request: ForkRequest, step: Step): Promise<readonly string[]> {
  const targets = forkNames(request).map((name) => join(dirname(root), newPrefixName(name)));
  const locks: Locks = { held: [] };
  try {
    await using undo = new UndoStack(step.log);
    // Held to the end: until then this environment may have a point that only the forks need.
    await using opened = await openForChange(context, root, 'fork', step);
    const source = opened.prefix;
    const { snapshot: named } = request;
    requireForkable(source, named);
    if (named !== undefined) await requireUnchanged(source, findSnapshot(source, named));
    const name = named ?? freeSnapshotName(recordOf(source), `fork ${request.name}`);
    // Before anything is made of them: whoever goes on after a kill has to know of it.
    await beginForks(source, targets, step);
    undo.add('forget the forks', async (signal) => await forget(context, root, name, named === undefined, step, signal), {
      timeoutMs: UNDO_MS,
    });
    // Their hosts come up while memory is written.
    const copies = await withSnapshot(context, source, { name, take: named === undefined, targets }, { locks, undo }, step);
    const now = await readPrefix(root);
    const snapshot = findSnapshot(now, name);
    await step.each(
      copies,
      copies.length,
      ({ target }) => `Link disks of ${basename(target)}`,
      async (copy, one) => await fillCopy(now, snapshot, copy, one),
    );
    await step.each(
      copies,
      copies.length,
      ({ target }) => `Restore ${basename(target)}`,
      async (copy, one) => await restoreCopy(copy, snapshot, one),
    );
    for (const copy of copies) await letGo(copy, snapshot, { keep: named !== undefined }, step);
    undo.commit();
    await Promise.all([
      step.step('Tell the guests', async (one) => {
        await Promise.all(copies.map(async (copy) => await tellGuests(copy, snapshot, one.log)));
      }),
      forget(context, root, name, named === undefined, step, AbortSignal.timeout(UNDO_MS)),
    ]);
    return targets;
  } finally {
    for (const lock of locks.held) await lock[Symbol.asyncDispose]();
  }
}

function forkNames({ name, count }: ForkRequest): readonly string[] {
  checkSnapshotName(name, "a fork's name");
  return count === undefined ? [name] : Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
}

function requireForkable(prefix: Prefix, snapshot: string | undefined): void {
  requireReady(prefix);
  if (recordOf(prefix).host.kind !== 'embedded') {
    throw new EngineError(
      'not-available',
      `${prefix.name} cannot be forked: its VMs and networks are on a host that it shares with others.`,
      {
        hint: 'Only an environment on its own host (embedded, the default) can run beside its fork with the same addresses.',
      },
    );
  }
  const old = snapshot === undefined ? !usesLayers(prefix) : findSnapshot(prefix, snapshot).kind !== 'layers';
  if (!old) return;
  throw new EngineError('snapshot.unsupported', `${prefix.name} cannot be forked: its snapshots are inside the disks' files.`, {
    hint: 'Delete the snapshots that it has from an older version; those that are taken afterwards can be forked.',
  });
}

async function beginForks(source: Prefix, forks: readonly string[], step: Step): Promise<void> {
  const hostWasUp = true;
  await beginWork(
    source,
    { kind: 'fork', name: null, step: 'copying', vms: [], running: [], hostWasUp, forks: [...forks] },
    { log: step.log },
  );
}

/** Takes the snapshot, unless there is one, and meanwhile makes the environments, without disks, and starts their hosts. */
async function withSnapshot(
  context: RecipeContext,
  source: Prefix,
  { name, take, targets }: { readonly name: string; readonly take: boolean; readonly targets: readonly string[] },
  held: { readonly locks: Locks; readonly undo: UndoStack },
  step: Step,
): Promise<readonly Copy[]> {
  const running = take ? await hasActiveVms(context, source, step) : Object.values(findSnapshot(source, name).vms).includes('memory');
  const forkedFrom = { uuid: source.uuid, snapshot: take ? null : name };
  const tasks = [
    ...targets.map((target) => ({
      label: `Prepare ${basename(target)}`,
      work: async (one: Step) => await beginCopy(context, source, { target, forkedFrom, running }, held, one),
    })),
    ...(take
      ? [
          {
            label: `Keep ${source.name} as it is now`,
            work: async (one: Step) => {
              await takeSnapshotOf(context, source, name, one, { forks: targets });
              return undefined;
            },
          },
        ]
      : []),
  ];
  const copies = await step.each(
    tasks,
    tasks.length,
    ({ label }) => label,
    async ({ work }, one) => await work(one),
  );
  return copies.filter((copy) => copy !== undefined);
}

async function hasActiveVms(context: RecipeContext, source: Prefix, step: Step): Promise<boolean> {
  const session = await context.hosts.find(source, step.signal);
  return session !== undefined && (await activeVms(session, source, step.signal)).length > 0;
}

/** The source has nothing more to do with its forks. */
async function forget(context: RecipeContext, root: string, name: string, taken: boolean, step: Step, signal: AbortSignal): Promise<void> {
  const prefix = await readPrefix(root);
  const snapshot: SnapshotRecord | undefined = prefix.record?.snapshots.find((one) => one.name === name);
  if (taken && snapshot !== undefined) await deleteSnapshotOf(context, prefix, snapshot, { ...step, signal });
  // A snapshot that could not be taken back is another matter.
  else if (prefix.record?.pending?.kind === 'fork') await settlePending(prefix, undefined, step.log);
}
