import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { Log } from '../core/log.ts';
import type { HostSession } from './session.ts';

/** Time for an agent that is there; without one libvirt says so at once. */
const ANSWER_MS = 3000;
const SEED_BYTES = 512;

const Handle = z.object({ return: z.number() });

/**
 * Stirs fresh random bytes into a Linux guest's generator by its agent. Without that, two guests that go on from the same memory draw the
 * same "random" numbers for a while. A guest without an agent, or whose agent may not write files, is left as it is; that is logged.
 */
export async function tellSeed(session: HostSession, domain: string, log: Log, signal: AbortSignal): Promise<void> {
  const ask = async (execute: string, args: Readonly<Record<string, unknown>>): Promise<string> =>
    await session.hypervisor.agentCommand(domain, JSON.stringify({ execute, arguments: args }), { signal, timeoutMs: ANSWER_MS });
  try {
    // Not by a program that writes it: an emulated guest takes a tenth of a second to start one.
    const { return: handle } = Handle.parse(JSON.parse(await ask('guest-file-open', { path: '/dev/urandom', mode: 'w' })));
    await ask('guest-file-write', { handle, 'buf-b64': randomBytes(SEED_BYTES).toString('base64') });
    await ask('guest-file-close', { handle });
  } catch (error) {
    if (!(error instanceof EngineError || error instanceof z.ZodError) || isCancelled(error)) throw error;
    log.debug(`${domain} was not told a new seed: ${error.message}`);
  }
}
