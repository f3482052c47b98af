import { randomBytes } from 'node:crypto';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { Log } from '../core/log.ts';
import type { HostSession } from './session.ts';

/** Time for an agent that is there; without one libvirt says so at once. */
const ANSWER_MS = 3000;
const SEED_BYTES = 512;

/**
 * Stirs fresh random bytes into a Linux guest's generator by its agent. Without that, two guests that go on from the same memory draw the
 * same "random" numbers for a while. A guest without an agent, or whose agent may not run programs, is left as it is; that is logged.
 */
export async function tellSeed(session: HostSession, domain: string, log: Log, signal: AbortSignal): Promise<void> {
  const command = {
    execute: 'guest-exec',
    arguments: { path: '/bin/sh', arg: ['-c', 'cat > /dev/urandom'], 'input-data': randomBytes(SEED_BYTES).toString('base64') },
  };
  try {
    await session.hypervisor.agentCommand(domain, JSON.stringify(command), { signal, timeoutMs: ANSWER_MS });
  } catch (error) {
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    log.debug(`${domain} was not told a new seed: ${error.message}`);
  }
}
