import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CollectedVm, Collection } from '../../../../src-shared/collection.ts';
import { EngineError, isCancelled, toEngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { diskError } from '../../core/files/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { forEachLimit } from '../../core/until.ts';
import { domainName, type Prefix, readPrefix, vmSpec } from '../../prefix/prefix.ts';
import { isHosted } from '../../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { collectFromDisk } from './collect-disk.ts';
import type { WantedArtifact } from './collect-live.ts';
import type { CollectRequest } from './collect-request.ts';
import { type Collected, collectRunning } from './collect-running.ts';
import { writeCollection } from './collections.ts';

const PARALLEL = 4;

/**
 * Fetches the artifacts that the definition names: by ssh or the guest agent from VMs that run, from the disks of those that are off. Takes no lock. What a VM
 * lacks or fails at does not keep the others from finishing; then it is an error that names the VMs (`guest.failed`), as are missing paths
 * with `noSkip`. The collection with all that could be read, and its record, stay in any case except when cancelled.
 */
export async function collectArtifacts(context: RecipeContext, root: string, request: CollectRequest, step: Step): Promise<Collection> {
  const prefix = await readPrefix(root);
  requireReady(prefix);
  const chosen = request.vms === undefined || request.vms.length === 0 ? prefix.specs.vms : request.vms.map((name) => vmSpec(prefix, name));
  const vms = chosen.filter((vm) => (vm.artifacts ?? []).length > 0);
  return await step.step('Collect artifacts', async (all) => {
    const begun = await begin(prefix, request, vms);
    try {
      const results = new Map<string, CollectedVm>();
      await forEachLimit(vms, PARALLEL, all.signal, async (vm) => {
        results.set(vm.name, await collectVm(context, prefix, vm, begun.folder, all));
      });
      const collection = { ...begun, finished: true, vms: vms.map((vm) => results.get(vm.name)).filter((vm) => vm !== undefined) };
      await writeCollection(root, collection);
      if (vms.length === 0) all.log.warn('There is nothing to collect: no VM of these has "artifacts" in its definition.');
      report(collection, request.noSkip === true, all);
      return collection;
    } catch (error) {
      if (isCancelled(error)) await discard(prefix, begun);
      throw error;
    }
  });
}

async function begin(prefix: Prefix, { output, why = 'manual' }: CollectRequest, vms: readonly VmSpec[]): Promise<Collection> {
  const now = new Date();
  const { collected } = prefix.paths;
  try {
    await mkdir(collected, { recursive: true });
    const id = await freeId(collected, stampOf(now).replaceAll(':', '-'));
    const folder = output ?? join(collected, id);
    if (output !== undefined) {
      await makeRoom(output, now);
      await rm(join(collected, id), { recursive: true });
    }
    const collection: Collection = {
      version: 1,
      id,
      at: now.getTime(),
      why,
      folder,
      finished: false,
      vms: vms.map(({ name }) => ({ name, by: null, problem: 'It was interrupted.', artifacts: [] })),
    };
    await writeCollection(prefix.paths.root, collection);
    return collection;
  } catch (error) {
    throw diskError(error, output ?? collected);
  }
}

/** Creates `DIR/STAMP`; two collections may begin in the same second. */
async function freeId(collected: string, stamp: string): Promise<string> {
  for (let count = 1; ; count++) {
    const id = count === 1 ? stamp : `${stamp}.${count}`;
    try {
      await mkdir(join(collected, id));
      return id;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Creates an empty folder; what is there gets a time stamp, as with Lago. */
async function makeRoom(output: string, now: Date): Promise<void> {
  try {
    await rename(output, `${output}.${stampOf(now)}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(dirname(output), { recursive: true });
  }
  await mkdir(output);
}

/** Local time, `2026-11-27_21:30:05`. */
function stampOf(now: Date): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString();
  return local.slice(0, 19).replace('T', '_');
}

async function discard(prefix: Prefix, collection: Collection): Promise<void> {
  await rm(collection.folder, { recursive: true, force: true });
  await rm(join(prefix.paths.collected, `${collection.id}.json`), { force: true });
}

/** Collects from one VM; its failure is in the record, and that of its step. */
async function collectVm(context: RecipeContext, prefix: Prefix, vm: VmSpec, folder: string, all: Step): Promise<CollectedVm> {
  const wanted = namedArtifacts(vm.artifacts ?? []);
  const into = join(folder, vm.name);
  try {
    const work = async (step: Step): Promise<Collected> => {
      const { running, session } = await stateOf(context, prefix, vm, step.signal);
      if (running) return await collectRunning(context, session, prefix, vm, wanted, into, step);
      return { by: 'disk', artifacts: await collectFromDisk(prefix, vm, wanted, into, session?.host.accelerator ?? 'tcg', step) };
    };
    const { by, artifacts } = await all.step(vm.name, work, { worker: vm.name });
    return { name: vm.name, artifacts, by, problem: null };
  } catch (error) {
    if (isCancelled(error)) throw error;
    const known = toEngineError(error);
    const unreachable = known.code === 'guest.unreachable' || known.code === 'guest.refused';
    const hint = unreachable ? ' Stop it first: the artifacts of VMs that are off are read from their disks.' : '';
    return { name: vm.name, by: null, artifacts: [], problem: `${known.message}${hint}` };
  }
}

interface FoundState {
  readonly running: boolean;
  /** Undefined while the host is down, and for a VM that libvirt does not run. */
  readonly session: HostSession | undefined;
}

async function stateOf(context: RecipeContext, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<FoundState> {
  if (!isHosted(context.plugins, vm)) return { running: true, session: undefined };
  const session = await context.hosts.find(prefix, signal);
  const domain = await session?.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal });
  return { running: (domain?.id ?? -1) >= 0, session };
}

/** Lago's names: each `/` of a path becomes `_`. Paths that would get the same name get a number. */
export function namedArtifacts(paths: readonly string[]): readonly WantedArtifact[] {
  const used = new Set<string>();
  return [...new Set(paths)].map((path) => {
    const flat = path.replaceAll('/', '_');
    const plain = flat === '' || flat === '.' || flat === '..' ? `_${flat}` : flat;
    let name = plain;
    for (let count = 2; used.has(name); count++) name = `${plain}.${count}`;
    used.add(name);
    return { path, name };
  });
}

/** Tells what is missing, and throws what makes the whole a failure. */
function report({ vms, folder }: Collection, noSkip: boolean, step: Step): void {
  const failed: string[] = [];
  for (const vm of vms) {
    const missing = vm.artifacts.filter((artifact) => artifact.missing).map(({ path }) => path);
    const incomplete = vm.artifacts.flatMap(({ problem, missing: gone }) => (problem === null || gone ? [] : [problem]));
    if (missing.length > 0) step.log.warn(`${vm.name} does not have ${missing.join(', ')}.`);
    if (vm.problem !== null) failed.push(`${vm.name}: ${vm.problem}`);
    else if (noSkip && missing.length > 0) failed.push(`${vm.name}: there is no ${missing.join(', ')}.`);
    for (const problem of incomplete) failed.push(`${vm.name}: ${problem}`);
  }
  if (failed.length === 0) return;
  const names = vms.filter((vm) => failed.some((line) => line.startsWith(`${vm.name}: `))).map(({ name }) => name);
  throw new EngineError('guest.failed', `Failed to collect everything from ${names.join(', ')}. ${failed.join(' ')}`, {
    details: { folder },
    hint: `What could be collected is in ${folder}.`,
  });
}
