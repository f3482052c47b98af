import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { connectGuest } from './access.ts';
import { agentOf } from './agent-of.ts';
import type { RecipeContext } from './recipe.ts';
import type { HostSession } from './session.ts';

/** A guest that is up answers sooner, also when it is busy. */
const ANSWER_MS = 3000;
/** For writing what the guest has in memory to a slow disk. */
const SYNC_MS = 30_000;

/** Lets a running guest write to its disks what it has in memory, by ssh or else its agent. Resolves with whether it did. */
export async function syncGuest(
  context: RecipeContext,
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  step: Pick<Step, 'signal' | 'log'>,
): Promise<boolean> {
  const signal = AbortSignal.any([step.signal, AbortSignal.timeout(SYNC_MS)]);
  const bySsh = async (): Promise<boolean> => {
    await using connection = await connectGuest(context, prefix, vm, { signal, timeoutMs: ANSWER_MS });
    return (await connection.exec('sync', { signal })).code === 0;
  };
  const byAgent = async (): Promise<boolean> => {
    const agent = await agentOf(session, prefix, vm, { log: step.log, signal });
    return agent?.runs === true && (await agent.run(['sync'], signal)).code === 0;
  };
  for (const way of [bySsh, byAgent]) {
    try {
      if (await way()) return true;
    } catch (error) {
      step.signal.throwIfAborted();
      if (!(error instanceof EngineError) && !isCancelled(error)) throw error;
      step.log.debug(`VM ${vm.name} did not write its files to its disk: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return false;
}
