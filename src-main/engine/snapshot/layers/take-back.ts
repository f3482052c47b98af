import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { VmSpec } from '../../../../src-shared/specs.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import { isEmptyLayer } from '../../disk/layers.ts';
import { memorySocket } from '../../host/memory-sink.ts';
import { domainName, type Prefix, readSpecs } from '../../prefix/prefix.ts';
import type { PendingWork } from '../../prefix/record.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { keptMemory } from '../memory/kept-memory.ts';
import { limitDowntime, QEMU_DOWNTIME_MS, setCapability } from '../memory/monitor.ts';
import { endMigration } from '../memory/write-memory.ts';
import { forgetFiles, keptDefinition, resumeForSure } from '../snapshot-parts.ts';
import { collectLayers } from './collect.ts';
import { keptLayers, onLayers, removeLayers, type VmLayers } from './layer-files.ts';
import { mayBeFrozen, thaw } from './quiesce.ts';
import { runningDisks } from './running-disks.ts';

/** Progress of taking a snapshot of layers, which is undone in another way than an internal one. */
export const LAYERING = 'layering';

/**
 * Undoes an unfinished snapshot of layers, whoever began it: VMs that ran go on, no file of it is left, and a disk that a VM has written
 * to since keeps what was written. Can be repeated.
 */
export async function takeBackLayers(
  context: RecipeContext,
  prefix: Prefix,
  work: PendingWork,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const name = work.name ?? '';
  const session = await context.hosts.find(prefix, signal);
  const layers = (await keptLayers(prefix, name)) ?? {};
  // As they were before the snapshot, or already with its layers.
  const { vms } = await readSpecs(prefix.paths);
  const concerned = vms.filter((vm) => work.vms.includes(vm.name));
  const outcomes = await Promise.allSettled(
    concerned.map(async (vm) => {
      if (session !== undefined) await stopWriting(session, prefix, vm, log, signal);
      // On a full disk nothing can be written before.
      await rm(keptMemory(prefix, name, vm.name), { recursive: true, force: true });
      if (session !== undefined && work.running.includes(vm.name)) await resumeForSure(session, prefix, vm, signal);
      await keepUsed(session, prefix, vm, { name, layers: layers[vm.name] ?? {} }, signal);
    }),
  );
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  if (session !== undefined && mayBeFrozen(prefix, name)) {
    const running = vms.filter((vm) => work.running.includes(vm.name));
    await thaw(session, prefix, name, running, log, signal);
  }
  await forgetFiles(prefix, name);
  await collectLayers(context, prefix, { log, signal });
}

/** Removes what is left of writing memory. An ordinary save fails while QEMU has one of these capabilities, and ends never without downtime. */
async function stopWriting(session: HostSession, prefix: Prefix, vm: VmSpec, log: Log, signal: AbortSignal): Promise<void> {
  const domain = domainName(prefix.uuid, vm.name);
  if ((await runningDisks(session, prefix, vm, signal)) !== undefined) {
    try {
      await endMigration(session.hypervisor, domain, { signal });
    } catch (error) {
      throw isTimeout(error) ? doesNotRespond(vm.name, error) : error;
    }
  }
  await rm(memorySocket(session.host.socketDir, domain), { force: true });
  if ((await runningDisks(session, prefix, vm, signal)) === undefined) return;
  await limitDowntime(session.hypervisor, domain, QEMU_DOWNTIME_MS, { signal });
  for (const capability of ['background-snapshot', 'pause-before-switchover'] as const) {
    try {
      await setCapability(session.hypervisor, domain, capability, false, { signal });
    } catch (error) {
      // It does not have the capability, or still ends the writing of its memory.
      log.debug(error instanceof Error ? error.message : String(error));
    }
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof EngineError && error.code === 'hypervisor.failed' && error.details['timeoutMs'] !== undefined;
}

/** What `memory-sink.cjs` says of QEMU 7.2. Nobody but the user ends a VM whose host may only be slow. */
function doesNotRespond(vm: string, cause: unknown): EngineError {
  return new EngineError('hypervisor.failed', `QEMU of VM ${vm} does not respond, since its memory was being written for a snapshot.`, {
    hint: `Try again if the machine is very busy. Else QEMU has locked up: end the VM with "lago stop ${vm}", then start or revert it.`,
    details: { vm },
    cause,
  });
}

/** The definition names the layers that the VM uses, or that have what it wrote before it ended; the others are removed. */
async function keepUsed(
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  { name, layers }: { readonly name: string; readonly layers: VmLayers },
  signal: AbortSignal,
): Promise<void> {
  const inUse = await runningDisks(session, prefix, vm, signal);
  const kept: Record<string, string> = {};
  const unused: Record<string, string> = {};
  for (const [dev, path] of Object.entries(layers)) {
    if (!existsSync(path)) continue;
    const used = inUse === undefined ? !(await isEmptyLayer(path, { signal })) : inUse.get(dev) === path;
    if (used) kept[dev] = path;
    else unused[dev] = path;
  }
  // Written before anything is removed: the definition may name the layers already.
  const before = (await readJson(keptDefinition(prefix, name, vm), VmSpec)) ?? vm;
  await writeJson(prefix.paths.vm(vm.name), { ...vm, disks: onLayers(prefix, before, kept).disks });
  await removeLayers(unused);
}
