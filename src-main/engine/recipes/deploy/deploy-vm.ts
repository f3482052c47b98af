import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ScriptStatus } from '../../../../src-shared/deploy.ts';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { Step } from '../../core/operation.ts';
import { endScript, runScript, type ScriptOutcome } from '../../guest/script.ts';
import { type DeployRecorder, type DeployScript, deployLogPath, relativeLog } from '../../prefix/deploy-record.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { ScriptLog } from '../../prefix/script-log.ts';
import { type GuestVisit, visitGuest } from '../../runtime/access.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { VmRuns } from './deploy-plan.ts';
import { scriptEnvironment } from './script-environment.ts';

/** A VM may be silent that long, for instance while a snapshot saves its memory; one that stops is noticed at once. */
const KEEPALIVE_MS = 120_000;
const LAST_LINES = 10;

export interface DeployVmOptions {
  readonly recorder: DeployRecorder;
  readonly timeoutMs: number | undefined;
  /** Whether several VMs are deployed, so that lines need their VM's name. */
  readonly several: boolean;
  readonly step: Step;
}

/** Runs the scripts of one VM in their order, up to the first that does not succeed, which is the error. */
export async function deployVm(context: RecipeContext, prefix: Prefix, runs: VmRuns, options: DeployVmOptions): Promise<void> {
  const { vm, scripts, first } = runs;
  const { step } = options;
  let visit: GuestVisit;
  try {
    visit = await step.step('Wait for ssh connectivity', async (wait) => {
      const onWait = (message: string): void => wait.progress(0, message);
      return await visitGuest(context, prefix, vm, { signal: wait.signal, onWait, keepaliveMs: KEEPALIVE_MS });
    });
  } catch (error) {
    await note(options, vm.name, first, stateAfter(error), null);
    throw error;
  }
  await using guest = visit;
  for (const run of runs.interrupted) await endInterrupted(guest, run, step);
  for (const [index, script] of scripts.entries()) {
    if (index < first) continue;
    await step.step(`Run script ${script.name}`, async (one) => {
      await deployScript(prefix, runs, index, script, guest, { ...options, step: one });
    });
    step.progress((index + 1 - first) / (scripts.length - first));
  }
}

/** A killed deploy leaves its script running in the guest; it must not run beside the next one. */
async function endInterrupted(guest: GuestVisit, run: string, step: Step): Promise<void> {
  const { connection, stopped } = guest;
  if (await endScript(connection, run, AbortSignal.any([stopped, step.signal]))) return;
  step.log.warn(`A script of an interrupted deploy may still be running in ${connection.vm}.`);
}

async function deployScript(
  prefix: Prefix,
  runs: VmRuns,
  index: number,
  script: DeployScript,
  guest: GuestVisit,
  options: DeployVmOptions,
): Promise<void> {
  const { vm } = runs;
  const { step, recorder, timeoutMs, several } = options;
  const content = await readScript(script, vm.name);
  const path = await deployLogPath(prefix.paths, vm.name, index, script.name);
  const log = await ScriptLog.create(path, (line) => step.output(several ? `${vm.name}: ${line}` : line));
  const run = randomUUID();
  let outcome: ScriptOutcome;
  try {
    await recorder.set(vm.name, index, { state: 'running', startedAt: Date.now(), run, log: relativeLog(prefix.paths, path) });
    outcome = await runScript(guest.connection, {
      script: content,
      environment: scriptEnvironment(prefix, vm, script.name),
      run,
      onOutput: async (chunk) => await log.write(chunk),
      timeoutMs,
      cancel: step.signal,
      stopped: guest.stopped,
    });
  } catch (error) {
    const state = stateAfter(error);
    await note(options, vm.name, index, state, null);
    if (state !== 'lost') throw error;
    throw new EngineError('guest.unreachable', `${script.name} did not finish on ${vm.name}: ${(error as Error).message}`, {
      cause: error,
      details: { vm: vm.name, script: script.name, log: path, output: log.lastLines(LAST_LINES).join('\n') },
      hint: (error as EngineError).hint ?? `Look at the console of ${vm.name}.`,
    });
  } finally {
    await log.close();
  }
  await note(options, vm.name, index, stateOf(outcome), outcome.code);
  if (outcome.how !== 'exited' && outcome.code === null) {
    step.log.warn(`${script.name} could not be ended on ${vm.name}; it may still be running there.`);
  }
  if (outcome.how === 'cancelled') throw new EngineError('cancelled', 'Cancelled.');
  if (outcome.how === 'exited' && outcome.code === 0) return;
  const how = outcome.how === 'exited' ? `failed with status ${outcome.code}` : `timed out after ${(timeoutMs ?? 0) / 1000} s`;
  throw new EngineError('guest.failed', `${script.name} ${how} on ${vm.name}`, {
    details: { vm: vm.name, script: script.name, status: outcome.code, log: path, output: log.lastLines(LAST_LINES).join('\n') },
    hint: `Its output is in ${path}. Fix ${script.path} or the VM; "lago deploy --from" then goes on with it.`,
  });
}

/** State of a script that could not be run to its end: `lost` when the VM or the connection to it went away. */
function stateAfter(error: unknown): ScriptStatus {
  if (isCancelled(error)) return 'cancelled';
  const lost = error instanceof EngineError && (error.code === 'vm.not-running' || error.code.startsWith('guest.'));
  return lost ? 'lost' : 'failed';
}

function stateOf({ how, code }: ScriptOutcome): ScriptStatus {
  if (how !== 'exited') return how;
  return code === 0 ? 'ok' : 'failed';
}

/** Records the end of a script. The prefix may be gone or its disk full: why the script ended matters more. */
async function note(options: DeployVmOptions, vm: string, index: number, state: ScriptStatus, code: number | null): Promise<void> {
  try {
    await options.recorder.set(vm, index, { state, code, endedAt: Date.now() });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    options.step.log.warn(error.message);
  }
}

async function readScript(script: DeployScript, vm: string): Promise<Buffer> {
  try {
    return await readFile(script.path);
  } catch (error) {
    throw new EngineError('input.missing-file', `Deploy script ${script.path} of ${vm} cannot be read: ${(error as Error).message}`, {
      cause: error,
      hint: 'Put it there again, or create the environment anew.',
    });
  }
}
