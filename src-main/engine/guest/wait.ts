import { EngineError } from '../../../src-shared/errors.ts';
import { sleep } from '../core/until.ts';
import type { BootWatch } from './boot/boot-watch.ts';
import { abortError, type Refusal } from './dial.ts';
import { dialGuest, loginOver, type SshConnection, type SshTarget } from './ssh.ts';

export interface WaitRequest extends Omit<SshTarget, 'timeoutMs'> {
  /** Total time to wait: the VM's boot time. */
  readonly timeoutMs: number;
  /** Called with what is being waited for and since when: on each change and every second. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** How long to tolerate refused logins, e.g. while cloud-init still installs the key. Default 10 s. */
  readonly refusalGraceMs?: number;
  /** After how many tries to give up on a guest whose ssh answers without letting in. Default: never. */
  readonly tries?: number;
  /** Limit for each dial; most are shorter. */
  readonly dialMs?: number;
  /** Says when an attempt is worthwhile and why none succeeds; is told the outcome of each. Without it, the address is tried all the time. */
  readonly watch?: BootWatch | undefined;
}

/**
 * Timeouts of successive dials. A guest on this machine answers within a millisecond once it is up, but a lost SYN is resent only after a
 * second, so most are short. Every fourth is long enough for a slow guest and for ARP, which asks once a second.
 */
const DIAL_MS = [300, 300, 300, 1200] as const;
/** A guest without news for longer than this is tried less often. */
const QUIET_MS = 10_000;
/** Even a guest that cannot have an address yet is tried this often: it may have one that nobody gave it. */
const BLIND_MS = 5000;
/** For one handshake and login; a guest that has just generated its host keys under emulation takes seconds. */
const LOGIN_MS = 20_000;
/** Some servers penalise frequent failed logins. */
const REFUSED_PAUSE_MS = [1000, 1000, 2000, 4000, 8000, 15_000, 30_000] as const;
/** Lago's tries are this far apart: attempts that follow each other faster count as one. */
const TRY_MS = 1000;
/** A guest that has failed may reboot by itself; after this long nobody waits for that. */
const FAILED_MS = 15_000;

/**
 * Waits until ssh login to a guest succeeds and returns the connection. When the VM stops, abort the signal with an EngineError
 * (`vm.not-running`), which is then thrown. Rejects with `guest.unreachable` on timeout and some seconds after the guest was seen to fail
 * (the message says why), `guest.refused` at once for a changed host key and after `refusalGraceMs` for a refused login, either of them
 * after `tries`, `host.unavailable`, `cancelled`.
 */
export async function waitForSsh(request: WaitRequest): Promise<SshConnection> {
  const { signal, vm = request.address, timeoutMs, refusalGraceMs = 10_000, tries = Infinity, dialMs = Infinity, watch } = request;
  const startedAt = Date.now();
  const tell = teller(request, startedAt);
  let last: EngineError | undefined;
  let refusals = 0;
  let refusedSince: number | undefined;
  let tried = 0;
  let triedAt = -Infinity;

  tell('no-answer');
  for (let attempt = 0; ; attempt++) {
    if (signal?.aborted) throw abortError(signal);
    const left = startedAt + timeoutMs - Date.now();
    if (left <= 0) throw timeUp(request, last);
    const target: SshTarget = { ...request, timeoutMs: left };
    let reason: Refusal;
    try {
      const stream = await dialGuest(target, Math.min(left, dialMs, DIAL_MS[attempt % DIAL_MS.length] ?? 1200));
      const connection = await loginOver(stream, target, Math.min(left, LOGIN_MS));
      watch?.loggedIn(`login of ${request.user}`);
      return connection;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const found = error.details.reason as Refusal | undefined;
      if (found === undefined) throw error;
      watch?.refused(found, error);
      if (found === 'host-key') throw error;
      reason = found;
      last = error;
      refusedSince = error.code === 'guest.refused' ? (refusedSince ?? Date.now()) : undefined;
      refusals = error.code === 'guest.refused' ? refusals + 1 : 0;
      if (refusedSince !== undefined && Date.now() - refusedSince >= refusalGraceMs) throw explained(request, error);
      if (hasAnswered(reason) && Date.now() - triedAt >= TRY_MS) {
        tried += 1;
        triedAt = Date.now();
        if (tried >= tries) throw explained(request, error);
      }
    }
    const failedMs = watch?.failedForMs();
    if (failedMs !== undefined && failedMs >= FAILED_MS) throw explained(request, last ?? unreachable(vm));
    tell(reason);
    const quiet = watch === undefined ? Date.now() - startedAt > 3 * QUIET_MS : watch.quietMs() > QUIET_MS;
    const pauseMs = refusals > 0 ? (REFUSED_PAUSE_MS[refusals - 1] ?? 30_000) : pauseAfter(reason, quiet);
    await pause(request, Math.min(pauseMs, Math.max(1, startedAt + timeoutMs - Date.now())), () => tell(reason));
  }
}

/** Whether something accepted the connection. */
function hasAnswered(reason: Refusal): boolean {
  return reason !== 'no-answer' && reason !== 'refused';
}

function pauseAfter(reason: Refusal, quiet: boolean): number {
  const slow = quiet ? 5 : 1;
  switch (reason) {
    case 'no-answer':
      return 50 * slow;
    case 'refused':
      return 100 * slow;
    default:
      return 300 * slow;
  }
}

/** Waits before the next attempt; longer while the watched guest cannot answer yet, shorter when there is news of it. */
async function pause({ signal, watch }: WaitRequest, ms: number, tell: () => void): Promise<void> {
  try {
    if (watch === undefined || watch.mayAnswer()) {
      await (watch === undefined ? sleep(ms, signal) : watch.news(ms, signal));
      return;
    }
    const until = Date.now() + BLIND_MS;
    while (!watch.mayAnswer() && Date.now() < until) {
      await watch.news(Math.min(1000, until - Date.now()), signal);
      tell();
    }
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    throw error;
  }
}

function teller(request: WaitRequest, startedAt: number): (reason: Refusal) => void {
  const { vm = request.address, address, onProgress, watch } = request;
  let last = '';
  return (reason) => {
    const seconds = Math.floor((Date.now() - startedAt) / 1000);
    const message = `${watch?.describe() ?? state(reason, vm, address, request.user)} (${seconds} s)`;
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

function unreachable(vm: string): EngineError {
  return new EngineError('guest.unreachable', `${vm} cannot be reached by ssh.`, { details: { vm, reason: 'no-answer' } });
}

/** The same error with the cause that the watch has found, if it has found one. */
function explained({ watch }: WaitRequest, error: EngineError): EngineError {
  const hang = watch?.state().hang ?? null;
  if (hang === null) return error;
  return new EngineError(error.code, hang.cause, {
    cause: error,
    hint: hang.next,
    details: { ...error.details, stage: hang.stage, lines: hang.lines.join('\n') },
  });
}

function timeUp(request: WaitRequest, last: EngineError | undefined): EngineError {
  const { vm = request.address, timeoutMs, watch } = request;
  const hang = watch?.state().hang ?? null;
  const waited = `ssh login to ${vm} timed out after ${Math.round(timeoutMs / 1000)} s.`;
  if (hang !== null) {
    return new EngineError('guest.unreachable', `${waited} ${hang.cause}`, {
      cause: last,
      details: { vm, ...last?.details, stage: hang.stage, lines: hang.lines.join('\n') },
      hint: hang.next,
    });
  }
  const reason = last === undefined ? '' : ` Last: ${last.message}`;
  return new EngineError('guest.unreachable', `${waited}${reason}`, {
    cause: last,
    details: { vm, ...last?.details },
    hint: `Look at the console of ${vm}; raise boot_time_sec in the init file if it only boots slowly.`,
  });
}
