import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { Log } from '../core/log.ts';
import type { HostSession } from './session.ts';

/** Time for an agent that is there; without one libvirt says so at once. */
const ANSWER_MS = 3000;

/**
 * Tells a guest the time by its agent, after its clock has stood still: while it was suspended, or since its snapshot. A guest without an
 * agent, or whose agent does not answer, keeps its wrong time until it asks a time server; that is logged.
 */
export async function tellTime(session: HostSession, domain: string, log: Log, signal: AbortSignal): Promise<void> {
  // Nanoseconds are beyond the whole numbers of JSON.stringify.
  const command = `{"execute":"guest-set-time","arguments":{"time":${BigInt(Date.now()) * 1_000_000n}}}`;
  try {
    await session.hypervisor.agentCommand(domain, command, { signal, timeoutMs: ANSWER_MS });
  } catch (error) {
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    log.debug(`${domain} was not told the time: ${error.message}`);
  }
}
