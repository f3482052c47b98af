import { type BootState, waitingStage } from '../../../../src-shared/boot.ts';
import type { CollectedArtifact, CollectedVm } from '../../../../src-shared/collection.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { TRANSFER_KEEPALIVE_MS } from '../../copy/transfer.ts';
import type { Step } from '../../core/operation.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { type GuestVisit, visitGuest } from '../../runtime/access.ts';
import { agentOf } from '../../runtime/agent-of.ts';
import { bootOf } from '../../runtime/boot/boot.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { collectByAgent } from './collect-agent.ts';
import { collectLive, type WantedArtifact } from './collect-live.ts';

export interface Collected {
  readonly by: NonNullable<CollectedVm['by']>;
  readonly artifacts: CollectedArtifact[];
}

/** A guest that is up answers sooner, also when it is busy. */
const ANSWER_MS = 3000;
/** For a guest that is still booting. */
const BOOT_MS = 60_000;

/**
 * Collects from a VM that runs: by ssh, else by its guest agent. Waits for ssh only while the guest is on its way there. `session` is
 * undefined for a VM that libvirt does not run. Rejects with `guest.unreachable` or `guest.refused`, and why, when there is no way.
 */
export async function collectRunning(
  context: RecipeContext,
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  wanted: readonly WantedArtifact[],
  folder: string,
  step: Step,
): Promise<Collected> {
  const visit = async (timeoutMs: number): Promise<GuestVisit | EngineError> => await tryVisit(context, prefix, vm, timeoutMs, step);
  let guest = await visit(session === undefined ? BOOT_MS : ANSWER_MS);
  if (guest instanceof EngineError && session !== undefined) {
    step.progress(0, 'ssh does not answer, asking its guest agent');
    const agent = await agentOf(session, prefix, vm, step);
    if (agent !== undefined) {
      step.log.info(`${guest.message} Collecting from ${vm.name} by its guest agent, which is slow.`);
      return { by: 'agent', artifacts: await collectByAgent(agent, vm, wanted, folder, step) };
    }
    const boot = (await bootOf(context, prefix.paths.root, [vm.name], step.signal))[vm.name];
    const hang = boot?.hang ?? null;
    // What cloud-init does or fails at comes after ssh.
    if (hang !== null && hang.stage !== 'cloud-init') throw explained(guest, hang);
    if (isOnItsWay(boot)) guest = await visit(BOOT_MS);
  }
  if (guest instanceof EngineError) throw guest;
  await using present = guest;
  return { by: 'ssh', artifacts: await collectLive(present, wanted, folder, step) };
}

async function tryVisit(
  context: RecipeContext,
  prefix: Prefix,
  vm: VmSpec,
  timeoutMs: number,
  step: Step,
): Promise<GuestVisit | EngineError> {
  try {
    const onWait = (message: string): void => step.progress(0, message);
    return await visitGuest(context, prefix, vm, { signal: step.signal, onWait, timeoutMs, keepaliveMs: TRANSFER_KEEPALIVE_MS });
  } catch (error) {
    if (error instanceof EngineError && (error.code === 'guest.unreachable' || error.code === 'guest.refused')) return error;
    throw error;
  }
}

/** Whether the guest accepts logins now, or was seen to start and may come as far: no reason is known why it would not. */
function isOnItsWay(boot: BootState | null | undefined): boolean {
  if (boot === null || boot === undefined) return false;
  const waiting = waitingStage(boot);
  return waiting === undefined || waiting.id === 'cloud-init' || boot.stages.some(({ id, at }) => id === 'started' && at !== null);
}

function explained(error: EngineError, hang: NonNullable<BootState['hang']>): EngineError {
  return new EngineError(error.code, hang.cause, {
    cause: error,
    hint: hang.next,
    details: { ...error.details, stage: hang.stage, lines: hang.lines.join('\n') },
  });
}
