import { EngineError } from '../../../../src-shared/errors.ts';
import { shownUrl } from '../../core/download/shown-url.ts';
import type { Log } from '../../core/log.ts';
import { interruptible, type PauseGate } from '../../core/pause.ts';
import { sleep } from '../../core/until.ts';
import { asAttemptFailure, gaveUp } from './failure.ts';
import type { Mirrors } from './mirrors.ts';

/** How long to try. */
export interface Patience {
  /** Failures in a row, without a byte between them, before giving up (default 10). */
  readonly attempts?: number | undefined;
  /** Pause after every mirror has failed once, doubled each time up to 30 s (default 500). */
  readonly backOffMs?: number | undefined;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
  /** While paused nothing is fetched; what has arrived of a file is kept. */
  readonly gate?: PauseGate | undefined;
}

const ATTEMPTS = 10;
/** A file that was damaged on its way is right the next time; one that stays wrong is of another moment than what names its checksum. */
const WRONG_TRIES = 3;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Tries mirror after mirror until one attempt succeeds. An attempt fails by any error but an `EngineError`, which ends it at once. `progress`
 * counts the bytes of all attempts: while there are more, it is worth trying. One that a pause interrupted is begun again and is no failure.
 */
export async function overMirrors<T>(
  mirrors: Mirrors,
  urlOf: (mirror: string) => URL,
  patience: Patience,
  attempt: (url: URL, signal: AbortSignal | undefined) => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  const { signal, log, gate, backOffMs = 500 } = patience;
  const limit = Math.max(patience.attempts ?? ATTEMPTS, mirrors.count);
  let failures = 0;
  let refusals = 0;
  let wrong = 0;
  let before = progress();
  for (;;) {
    signal?.throwIfAborted();
    const mirror = mirrors.best();
    const url = urlOf(mirror.url);
    try {
      const result = await interruptible(gate, signal, async (own) => await attempt(url, own));
      mirror.succeeded();
      return result;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof EngineError) throw error;
      const failure = asAttemptFailure(error);
      mirror.failed();
      if (failure.kind === 'wrong') wrong += 1;
      if (wrong >= WRONG_TRIES * mirrors.count) throw gaveUp(failure, url, failures + 1, mirrors.count);
      failures = progress() > before ? 1 : failures + 1;
      before = progress();
      // A mirror that does not have it will not have it in a moment either.
      refusals = ['missing', 'refused', 'untrusted'].includes(failure.kind) ? refusals + 1 : 0;
      if (failures >= limit || refusals >= mirrors.count) throw gaveUp(failure, url, failures, mirrors.count);
      log.debug(`${shownUrl(url)}: ${failure.message}; trying again`);
      const rounds = Math.floor(failures / mirrors.count);
      if (rounds > 0) await sleep(Math.min(LONGEST_PAUSE_MS, backOffMs * 2 ** (rounds - 1)), signal);
    }
  }
}
