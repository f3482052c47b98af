import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TextDiff } from '../../../../src-shared/collection.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Changes } from '../../../../src-shared/snapshot/changes.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { Step } from '../../core/operation.ts';
import { type Prefix, readPrefix, requireDisksHere, vmSpec } from '../../prefix/prefix.ts';
import { isHosted } from '../../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { syncGuest } from '../../runtime/sync-guest.ts';
import { statusOf } from '../../snapshot/snapshot-parts.ts';
import { diffFiles, MAX_DIFF_SIZE } from '../text-diff.ts';
import { differentContent } from './compare-content.ts';
import type { CompareRequest } from './compare-request.ts';
import { compareTrees } from './compare-trees.ts';
import type { GuestFiles } from './guest-files.ts';
import { keepChanges, keptChanges } from './kept-changes.ts';
import { type OpenPoints, openPoints, type ReadingStep } from './open-guest-files.ts';
import { diskStamp, isSameContent, type Point, pointOf, requireFiles } from './point.ts';
import { readPackageChanges } from './read-packages.ts';
import { withScratch } from './scratch.ts';

/** A comparison that may begin. */
interface Comparison {
  readonly prefix: Prefix;
  readonly vm: VmSpec;
  readonly from: Point;
  readonly to: Point;
}

/**
 * Reads what changed on the disks of a VM between a snapshot and another one, or the present, and keeps the result. Takes no lock, changes
 * nothing, starts no VM. A result that still holds is not read again. `vm.missing`, `snapshot.missing`, `snapshot.unsupported`,
 * `not-available`, `host.missing-tool`.
 */
export async function comparePoints(context: RecipeContext, root: string, request: CompareRequest, step: Step): Promise<Changes> {
  const comparison = await prepare(context, root, request);
  const { prefix, vm, from, to } = comparison;
  for (const point of [from, to]) await requireFiles(vm, point);
  return await step.step(`Compare VM ${vm.name}`, async (one) => {
    const notes = [from, to].filter(({ live }) => live).map(({ snapshot }) => liveNote(vm, snapshot ?? ''));
    const running = to.snapshot === null ? await runningIn(context, prefix, vm, one.signal) : undefined;
    const stamp = to.snapshot === null && running === undefined ? await diskStamp(to) : null;
    const kept = await keptChanges(prefix, vm.name, from, to);
    if (kept !== undefined && running === undefined && kept.stamp === stamp) return kept.changes;
    if (running !== undefined) {
      one.progress(0, 'letting the guest write its files to its disk');
      notes.push(runningNote(vm, await syncGuest(context, running, prefix, vm, one)));
    }
    const readAt = Date.now();
    const found = (await isSameContent(from, to, one.signal)) ? NOTHING : await readChanges(comparison, running, one);
    const changes: Changes = { vm: vm.name, from: request.from, to: request.to, readAt, ...found, notes: [...notes, ...found.notes] };
    await requireUnchanged(comparison);
    await keepChanges(prefix, vm.name, from, to, stamp, changes);
    return changes;
  });
}

type Found = Omit<Changes, 'vm' | 'from' | 'to' | 'readAt'>;

const NOTHING: Found = { files: [], counts: { added: 0, removed: 0, changed: 0 }, truncated: false, packages: [], notes: [] };

/** The last result of `comparePoints`, without reading anything: of the present it is as of its `readAt`. Null when there is none. */
export async function lastChanges(context: RecipeContext, root: string, request: CompareRequest): Promise<Changes | null> {
  const { prefix, vm, from, to } = await prepare(context, root, request);
  return (await keptChanges(prefix, vm.name, from, to))?.changes ?? null;
}

/** How the text of a file that changed differs. `input.missing-file` when `comparePoints` has not found that it changed. */
export async function diffChangedFile(
  context: RecipeContext,
  root: string,
  request: CompareRequest & { readonly path: string },
  step: ReadingStep,
): Promise<TextDiff> {
  const comparison = await prepare(context, root, request);
  const { prefix, vm, from, to } = comparison;
  const kept = await keptChanges(prefix, vm.name, from, to);
  const change = kept?.changes.files.find(({ path }) => path === request.path);
  if (change === undefined) throw notChanged(request);
  if (change.type !== 'file' || change.aspects.includes('type')) return { problem: 'binary', lines: [], added: 0, removed: 0 };
  if (Math.max(change.sizeBefore ?? 0, change.sizeAfter ?? 0) > MAX_DIFF_SIZE) return { problem: 'large', lines: [], added: 0, removed: 0 };
  const running = to.snapshot === null ? await runningIn(context, prefix, vm, step.signal) : undefined;
  return await withPoints(comparison, running, step, async ({ before, after }, scratch) => {
    const copyOf = async (files: GuestFiles, name: string, there: boolean): Promise<string | undefined> => {
      if (!there) return undefined;
      const folder = join(scratch, name);
      await mkdir(folder, { mode: 0o700 });
      await files.find();
      return (await files.copy([request.path], folder)).get(request.path);
    };
    const old = await copyOf(before, 'text-before', change.change !== 'added');
    return await diffFiles(old, await copyOf(after, 'text-after', change.change !== 'removed'));
  });
}

async function prepare(context: RecipeContext, root: string, request: CompareRequest): Promise<Comparison> {
  const prefix = await readPrefix(root);
  requireReady(prefix);
  requireDisksHere(prefix, 'Comparing snapshots');
  const vm = vmSpec(prefix, request.vm);
  if (!isHosted(context.plugins, vm)) {
    throw new EngineError('not-available', `VM ${vm.name} has no disks here: its provider is "${vm['vm-provider']}".`);
  }
  if (request.from === request.to) {
    throw new EngineError('input.invalid', `“${request.from}” was to be compared with itself.`, { hint: 'Name two snapshots.' });
  }
  return { prefix, vm, from: pointOf(prefix, vm, request.from), to: pointOf(prefix, vm, request.to) };
}

/** The host of a VM that is not off. */
async function runningIn(context: RecipeContext, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<HostSession | undefined> {
  const session = await context.hosts.find(prefix, signal);
  if (session === undefined) return undefined;
  const now = await statusOf(session, prefix, vm, signal);
  return now !== undefined && now.id >= 0 ? session : undefined;
}

async function readChanges(comparison: Comparison, running: HostSession | undefined, step: ReadingStep): Promise<Found> {
  return await withPoints(comparison, running, step, async (points, scratch) => {
    step.progress(0.1, 'listing files');
    const before = { files: points.before, tree: await points.before.entries() };
    step.progress(0.3, 'listing files');
    const after = { files: points.after, tree: await points.after.entries() };
    const onFraction = (fraction: number): void => step.progress(0.5 + 0.4 * fraction, 'comparing files');
    const different = await differentContent(before, after, scratch, { signal: step.signal, onFraction });
    const { packages, notes } = await readPackageChanges(before, after, scratch, step.signal);
    const compared = compareTrees(before.tree, after.tree, different);
    return { ...compared, packages, notes: [...new Set([...points.before.notes, ...points.after.notes, ...notes])] };
  });
}

async function withPoints<T>(
  { prefix, vm, from, to }: Comparison,
  running: HostSession | undefined,
  step: ReadingStep,
  work: (points: OpenPoints, scratch: string) => Promise<T>,
): Promise<T> {
  return await withScratch(prefix, async (scratch) => {
    await using points = await openPoints({ vm, from, to, accelerator: running?.host.accelerator ?? 'tcg', scratch }, step);
    return await work(points, scratch);
  });
}

/** Nothing keeps another command from reverting, or deleting a snapshot, meanwhile. */
async function requireUnchanged({ prefix, vm, from, to }: Comparison): Promise<void> {
  const now = await readPrefix(prefix.paths.root);
  const isAsBefore = (point: Point): boolean => {
    const again = pointOf(now, vmSpec(now, vm.name), point.snapshot);
    return again.takenAt === point.takenAt && JSON.stringify(again.disks) === JSON.stringify(point.disks);
  };
  if (isAsBefore(from) && isAsBefore(to)) return;
  throw new EngineError('conflict.taken', `The disks of ${vm.name} were exchanged while they were read.`, {
    hint: 'Compare again when the other command has finished.',
  });
}

function runningNote(vm: VmSpec, synced: boolean): string {
  return synced
    ? `${vm.name} was running: what it wrote while its disk was read may be missing.`
    : `${vm.name} was running, and could not be asked to write its files to its disk: what it wrote last may be missing.`;
}

function liveNote(vm: VmSpec, snapshot: string): string {
  return `“${snapshot}” was taken while ${vm.name} was running: what the guest had not yet written to its disk then is not compared.`;
}

function notChanged({ path, from, to }: CompareRequest & { readonly path: string }): EngineError {
  const until = to === null ? 'the present' : `“${to}”`;
  return new EngineError('input.missing-file', `${path} is not among the files that changed between “${from}” and ${until}.`, {
    hint: 'Compare both points again.',
  });
}
