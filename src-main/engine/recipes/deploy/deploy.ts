import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { DeployInput } from '../../../../src-shared/verbs.ts';
import { type HeldLock, takeLock } from '../../core/lock.ts';
import { silentLog } from '../../core/log.ts';
import type { Step } from '../../core/operation.ts';
import { DeployRecorder, readDeployRecord, usesOldName } from '../../prefix/deploy-record.ts';
import { type Prefix, readPrefix } from '../../prefix/prefix.ts';
import { foreignVm, isHosted } from '../../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { statusOf } from '../../snapshot/snapshot-parts.ts';
import { snapshotBefore } from '../automatic-snapshot.ts';
import { tellGuests } from '../repos/client.ts';
import { serveDuring } from '../repos/serve-during.ts';
import { planDeploy, type VmRuns } from './deploy-plan.ts';
import { deployVm } from './deploy-vm.ts';

/**
 * Runs deploy scripts: those of a VM one after another, VMs in parallel. A script that fails ends the deploy of its VM; the other VMs
 * finish, and then the first failure is the error: `guest.failed` for a status other than 0 or a timeout, `guest.unreachable` for a VM that
 * was lost. `vm.not-running` before anything runs when one of the VMs is off; `conflict.locked` while another deploy is under way. It does
 * not take the prefix's write lock: everything else can be done with the environment meanwhile.
 */
export async function deployEnvironment(context: RecipeContext, root: string, input: DeployInput, step: Step): Promise<void> {
  // Looked at before the lock too, which would leave a file in a folder that is no prefix.
  requireReady(await readPrefix(root));
  await using _lock = await lockDeploy(root, step.signal);
  const prefix = await readPrefix(root);
  requireReady(prefix);
  const record = await readDeployRecord(prefix.paths);
  const { runs, notes } = planDeploy(prefix, record, input);
  for (const note of notes) step.log.info(note);
  await using _served = await serveDuring(context, prefix, step);
  await tellGuests(context, prefix, step);
  if (runs.length === 0) return;
  await requireRunning(
    context,
    prefix,
    runs.map(({ vm }) => vm),
    step.signal,
  );
  await snapshotBefore(context, root, 'deploy', step);
  if (runs.some(({ vm }) => usesOldName(vm))) {
    step.log.warn('Deprecated entry "ovirt-scripts" will not be supported in the future, replace with "deploy-scripts"');
  }
  const recorder = new DeployRecorder(prefix.paths, record);
  for (const { vm, records } of runs) recorder.setAll(vm.name, records);
  await recorder.save();
  try {
    await step.step('Deploy environment', async (all) => await deployAll(context, prefix, runs, recorder, input.timeout, all));
  } catch (error) {
    const concerned = runs.filter(({ vm }) => (vm.artifacts ?? []).length > 0).map(({ vm }) => vm.name);
    if (concerned.length > 0 && !step.signal.aborted) await collectAfterFailure(context, root, concerned, step);
    throw error;
  }
}

/** Keeps what shows why the deploy failed. A failure to do so is told, but the deploy's own is the error. */
async function collectAfterFailure(context: RecipeContext, root: string, vms: readonly string[], step: Step): Promise<void> {
  const { collectArtifacts } = await import('../collect/collect.ts');
  try {
    const collection = await collectArtifacts(context, root, { vms, why: 'deploy failed' }, step);
    step.log.info(`The artifacts of ${vms.join(', ')} were collected into ${collection.folder}`);
  } catch (error) {
    if (step.signal.aborted || !(error instanceof EngineError)) throw error;
    step.log.warn(`The artifacts could not be collected: ${error.message}`);
  }
}

/** Throws the failure that happened first, after all VMs have finished. */
async function deployAll(
  context: RecipeContext,
  prefix: Prefix,
  runs: readonly VmRuns[],
  recorder: DeployRecorder,
  timeout: number | undefined,
  step: Step,
): Promise<void> {
  const several = runs.length > 1;
  const timeoutMs = timeout === undefined ? undefined : timeout * 1000;
  let failure: { readonly error: unknown } | undefined;
  await Promise.all(
    runs.map(async (run) => {
      const work = async (one: Step): Promise<void> => await deployVm(context, prefix, run, { recorder, timeoutMs, several, step: one });
      try {
        await step.step(`Deploy VM ${run.vm.name}`, work, several ? { worker: run.vm.name } : {});
      } catch (error) {
        // The first one is the error of the whole.
        if (failure !== undefined && error instanceof EngineError && error.code !== 'cancelled') step.log.error(error.message);
        failure ??= { error };
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
}

/** Two deploys at once would run the same scripts twice. */
async function lockDeploy(root: string, signal: AbortSignal): Promise<HeldLock> {
  const { paths, name } = await readPrefix(root);
  try {
    return await takeLock(paths.deployLock, { purpose: 'deploy', signal, waitMs: 300 });
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'conflict.locked') throw error;
    const holder = error.message.split(' is locked by ')[1] ?? 'another command.';
    throw new EngineError('conflict.locked', `The deploy scripts of ${name} are being run by ${holder}`, {
      cause: error,
      hint: 'Wait until it has finished, or cancel it there.',
    });
  }
}

/** `vm.not-running`, naming every VM that cannot run a script now. */
async function requireRunning(context: RecipeContext, prefix: Prefix, vms: readonly VmSpec[], signal: AbortSignal): Promise<void> {
  const states = await Promise.all(vms.map(async (vm) => await stateOf(context, prefix, vm, signal)));
  const paused = vms.filter((_, index) => states[index] === 'paused').map((vm) => vm.name);
  const off = vms.filter((_, index) => states[index] === 'off').map((vm) => vm.name);
  if (off.length === 0 && paused.length === 0) return;
  const [names, verb, word] = off.length > 0 ? [off, 'start', 'off'] : [paused, 'resume', 'suspended'];
  const subject = names.length === 1 ? `VM ${names[0]} is` : `VMs ${names.join(', ')} are`;
  throw new EngineError('vm.not-running', `${subject} ${word}; no deploy script was run.`, {
    hint: `Use "lago ${verb} ${names.join(' ')}" first.`,
  });
}

async function stateOf(context: RecipeContext, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<'running' | 'paused' | 'off'> {
  if (!isHosted(context.plugins, vm)) {
    const state = await foreignVm(context.plugins, prefix, vm).state({ signal, log: silentLog });
    return state === 'running' || state === 'paused' ? state : 'off';
  }
  const session = await context.hosts.find(prefix, signal);
  const now = session === undefined ? undefined : await statusOf(session, prefix, vm, signal);
  if (now === undefined || now.id < 0) return 'off';
  return now.state === 'paused' ? 'paused' : 'running';
}
