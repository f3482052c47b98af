import { EngineError } from '../../../src-shared/errors.ts';
import type { RunOptions, RunResult } from '../core/run.ts';

/** Runs a program in the environment's network (`Host.run`). */
export type RunInHost = (argv: readonly string[], options?: RunOptions) => Promise<RunResult>;

/** Creates a Linux bridge and sets it up; an existing one is used as it is. Returns whether it was created. */
export async function createBridge(run: RunInHost, name: string, signal: AbortSignal): Promise<boolean> {
  const shown = await run(['ip', '-o', 'link', 'show', 'dev', name, 'type', 'bridge'], { signal });
  if (shown.code === 0 && shown.stdout.trim() !== '') return false;
  // Without spanning tree a port forwards at once; with it every start is delayed by seconds.
  await ip(run, ['link', 'add', name, 'type', 'bridge', 'stp_state', '0'], `Could not make the bridge ${name}.`, signal);
  await ip(run, ['link', 'set', name, 'up'], `Could not set the bridge ${name} up.`, signal);
  return true;
}

/** Removes a bridge; a missing one is not an error. */
export async function removeBridge(run: RunInHost, name: string, signal: AbortSignal): Promise<void> {
  const shown = await run(['ip', '-o', 'link', 'show', 'dev', name], { signal });
  if (shown.code !== 0) return;
  await ip(run, ['link', 'del', name], `Could not remove the bridge ${name}.`, signal);
}

async function ip(run: RunInHost, args: readonly string[], message: string, signal: AbortSignal): Promise<void> {
  const result = await run(['ip', ...args], { signal });
  if (result.code === 0) return;
  const denied = /not permitted|permission denied/i.test(result.stderr);
  throw new EngineError(denied ? 'host.denied' : 'host.unavailable', `${message} ${result.stderr.trim()}`, {
    details: { command: ['ip', ...args].join(' '), stderr: result.stderr.trim() },
    ...(denied ? { hint: 'Bridges on the system host need root; the embedded host needs nothing.' } : {}),
  });
}
