import { once } from 'node:events';
import { Writable } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import { drop, silentLog } from '../core/log.ts';
import { openChannel } from './channel.ts';
import { shellWords } from './services.ts';
import type { SshConnection } from './ssh.ts';

export interface ScriptRequest {
  /** Fed to the stdin of the guest's `bash -s`, or `sh -s`, so nothing is left in the guest. */
  readonly script: Uint8Array;
  /** Variables that it gets. */
  readonly environment: Readonly<Record<string, string>>;
  /** Identifies the processes that it starts: the value of `RUN_VARIABLE` in their environment. Unique. */
  readonly run: string;
  /** Gets stdout and stderr in the order in which the guest wrote them. The guest waits while it is pending. */
  readonly onOutput: (chunk: Buffer) => Promise<void>;
  /** No limit without it. */
  readonly timeoutMs: number | undefined;
  /** Ends the script in the guest. */
  readonly cancel: AbortSignal;
  /** Aborts with the reason when the VM is gone: nothing can be ended in it. */
  readonly stopped: AbortSignal;
}

export interface ScriptOutcome {
  readonly how: 'exited' | 'timed-out' | 'cancelled';
  /** Exit status, or 128 + signal; null when its processes did not end. */
  readonly code: number | null;
}

/** Variable by which the processes of a script are found. */
export const RUN_VARIABLE = 'LAGO_RUN';

/** How long output of processes left in the background is still read. */
const LINGER_MS = 500;
/** For ending a script's processes and reading their last output. */
const END_MS = 20_000;
const LAST_OUTPUT_MS = 3000;

/**
 * Runs a script and waits for its end, whatever its status. When it takes too long or is cancelled, all of its processes are ended in the
 * guest, even those that ignore SIGTERM or have left its session. Rejects like `SshConnection.exec`, with the reason of `stopped`, and with
 * the error of `onOutput`.
 */
export async function runScript(connection: SshConnection, request: ScriptRequest): Promise<ScriptOutcome> {
  const { cancel, stopped, timeoutMs } = request;
  cancel.throwIfAborted();
  const abandon = new AbortController();
  const running = runToEnd(connection, request, AbortSignal.any([stopped, abandon.signal]));
  const limit = new AbortController();
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => limit.abort(), timeoutMs);
  const over = new AbortController();
  // When it is interrupted, the way in which it ends is looked at only after its processes were ended.
  drop(running, silentLog, 'script');
  try {
    const interrupted = whenAborted(AbortSignal.any([cancel, limit.signal]), over.signal);
    const code = await Promise.race([running, interrupted]);
    if (code !== undefined) return { how: 'exited', code };
    const how = cancel.aborted ? 'cancelled' : 'timed-out';
    const ended = await endScript(connection, request.run, stopped);
    const timeUp = setTimeout(() => abandon.abort(), ended ? LAST_OUTPUT_MS : 0);
    try {
      return { how, code: await running };
    } catch (error) {
      if (!abandon.signal.aborted) throw error;
      return { how, code: null };
    } finally {
      clearTimeout(timeUp);
    }
  } finally {
    over.abort();
    clearTimeout(timer);
  }
}

/** Ends every process of a run, first with SIGTERM, then with SIGKILL. Returns whether none is left; `false` also when it cannot be said. */
export async function endScript(connection: SshConnection, run: string, signal: AbortSignal): Promise<boolean> {
  const command = shellWords(['sh', '-c', END_PROCESSES, 'sh', `${RUN_VARIABLE}=${run}`]);
  try {
    const { code } = await connection.exec(`exec ${command}`, { signal: AbortSignal.any([signal, AbortSignal.timeout(END_MS)]) });
    return code === 0;
  } catch (error) {
    signal.throwIfAborted();
    // The guest is too busy to answer, or refuses another session: the caller says that it may still run.
    if (error instanceof EngineError) return false;
    throw error;
  }
}

/** Without "!" and line breaks, which some login shells do not leave alone in quotes. `$1` is a variable with its value. */
const END_PROCESSES = [
  'command -v grep >/dev/null || exit 1',
  'left() { grep -lszFx -- "$1" /proc/[0-9]*/environ; }',
  'end() { for f in $(left "$1"); do p=${f#/proc/}; kill -"$2" "${p%/environ}" 2>/dev/null; done; }',
  'end "$1" TERM',
  'n=0',
  'while [ -n "$(left "$1")" ]; do n=$((n+1)); [ $n -le 2 ] || end "$1" KILL; [ $n -le 8 ] || exit 1; sleep 1; done',
].join('; ');

async function runToEnd(connection: SshConnection, request: ScriptRequest, signal: AbortSignal): Promise<number> {
  const { environment, run, script, onOutput } = request;
  const variables = Object.entries({ ...environment, [RUN_VARIABLE]: run }).map(([name, value]) => `${name}=${value}`);
  // Both outputs are one stream in the guest: only there is their order known.
  const shell = 'if command -v bash >/dev/null 2>&1; then exec bash -s 2>&1; else exec sh -s 2>&1; fi';
  const command = `exec ${shellWords(['env', ...variables, 'sh', '-c', shell])}`;
  const channel = await openChannel(connection.client, connection.lost, { command, signal, lingerMs: LINGER_MS });
  let failure: Error | undefined;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      drop(pass(onOutput(chunk), done), silentLog, 'output');
    },
  });
  sink.once('error', (error) => {
    failure = error;
    channel.close(new EngineError('internal', `Its output could not be kept: ${error.message}`, { cause: error }));
  });
  const kept = new Promise<void>((resolve) => {
    sink.once('close', resolve);
  });
  channel.stderr?.resume();
  channel.stream.pipe(sink);
  channel.stream.end(script);
  try {
    const code = await channel.exit;
    await kept;
    if (failure === undefined) return code;
  } catch (error) {
    sink.destroy();
    if (failure === undefined) throw error;
  }
  await endScript(connection, run, request.stopped);
  throw failure;
}

/** Reports the end of a promise to a stream's callback. */
async function pass(work: Promise<void>, done: (error?: Error) => void): Promise<void> {
  try {
    await work;
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)));
    return;
  }
  done();
}

/** Resolves with undefined when `signal` aborts, or at the end of the work. */
async function whenAborted(signal: AbortSignal, over: AbortSignal): Promise<undefined> {
  const either = AbortSignal.any([signal, over]);
  if (!either.aborted) await once(either, 'abort');
  return undefined;
}
