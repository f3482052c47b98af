import { EngineError } from '../../../src-shared/errors.ts';
import { sleep } from '../core/until.ts';
import { abortError, type Refusal } from './dial.ts';
import { dialGuest, loginOver, type SshConnection, type SshTarget } from './ssh.ts';

export interface WaitRequest extends Omit<SshTarget, 'timeoutMs'> {
  /** Total time to wait: the VM's boot time. */
  readonly timeoutMs: number;
  /** Called with what is being waited for and since when: on each change and every second. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** How long to tolerate refused logins, e.g. while cloud-init still installs the key. Default 10 s. */
  readonly refusalGraceMs?: number;
}

/**
 * Timeouts of successive dials. A guest on this machine answers within a millisecond once it is up, but a lost SYN is resent only after a
 * second, so most are short. Every fourth is long enough for a slow guest and for ARP, which asks once a second.
 */
const DIAL_MS = [300, 300, 300, 1200] as const;
/** A guest that takes longer than this is polled less often. */
const UNHURRIED_AFTER_MS = 30_000;
/** For one handshake and login; a guest that has just generated its host keys under emulation takes seconds. */
const LOGIN_MS = 20_000;

/**
 * Waits until ssh login to a guest succeeds and returns the connection. When the VM stops, abort the signal with an EngineError
 * (`vm.not-running`), which is then thrown. Rejects with `guest.unreachable` on timeout (the message says how far it got), `guest.refused`
 * at once for a changed host key and after `refusalGraceMs` for a refused login, `host.unavailable`, `cancelled`.
 */
export async function waitForSsh(request: WaitRequest): Promise<SshConnection> {
  const { signal, vm = request.address, timeoutMs, refusalGraceMs = 10_000 } = request;
  const startedAt = Date.now();
  const tell = teller(request, startedAt);
  let last: EngineError | undefined;
  let refusedSince: number | undefined;

  tell('no-answer');
  for (let attempt = 0; ; attempt++) {
    if (signal?.aborted) throw abortError(signal);
    const left = startedAt + timeoutMs - Date.now();
    if (left <= 0) throw timeUp(vm, timeoutMs, last);
    const target: SshTarget = { ...request, timeoutMs: left };
    try {
      const stream = await dialGuest(target, Math.min(left, DIAL_MS[attempt % DIAL_MS.length] ?? 1200));
      return await loginOver(stream, target, Math.min(left, LOGIN_MS));
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const reason = error.details.reason as Refusal | undefined;
      if (reason === undefined || reason === 'host-key') throw error;
      last = error;
      if (error.code === 'guest.refused') refusedSince ??= Date.now();
      else refusedSince = undefined;
      if (refusedSince !== undefined && Date.now() - refusedSince >= refusalGraceMs) throw error;
      tell(reason);
      await pause(Math.min(pauseAfter(reason, Date.now() - startedAt), Math.max(1, startedAt + timeoutMs - Date.now())), signal);
    }
  }
}

function pauseAfter(reason: Refusal, waitedMs: number): number {
  const slow = waitedMs > UNHURRIED_AFTER_MS ? 5 : 1;
  switch (reason) {
    case 'no-answer':
      return 50 * slow;
    case 'refused':
      return 100 * slow;
    case 'closed':
    case 'not-ssh':
      return 300 * slow;
    default:
      // Some servers penalise frequent failed logins.
      return 1000;
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, signal);
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw error;
  }
}

function teller(request: WaitRequest, startedAt: number): (reason: Refusal) => void {
  const { vm = request.address, address, onProgress } = request;
  let last = '';
  return (reason) => {
    const seconds = Math.floor((Date.now() - startedAt) / 1000);
    const message = `${state(reason, vm, address, request.user)} (${seconds} s)`;
    if (message !== last) onProgress?.(message);
    last = message;
  };
}

function state(reason: Refusal, vm: string, address: string, user: string): string {
  switch (reason) {
    case 'no-answer':
      return `Waiting for ${vm} to answer on ${address}`;
    case 'refused':
    case 'closed':
    case 'not-ssh':
      return `${vm} is up, waiting for ssh on ${address}`;
    default:
      return `ssh on ${vm} does not accept the login of ${user} yet`;
  }
}

function timeUp(vm: string, timeoutMs: number, last: EngineError | undefined): EngineError {
  const reason = last === undefined ? '' : ` Last: ${last.message}`;
  return new EngineError('guest.unreachable', `ssh login to ${vm} timed out after ${Math.round(timeoutMs / 1000)} s.${reason}`, {
    cause: last,
    details: { vm, ...last?.details },
    hint: `Look at the console of ${vm}; raise boot_time_sec in the init file if it only boots slowly.`,
  });
}
