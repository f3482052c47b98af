import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { EngineError } from '../../../src-shared/errors.ts';
import { Tail } from './tail.ts';

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to stdin, which is then closed; without it stdin is /dev/null. */
  readonly input?: string | Uint8Array;
  /** SIGTERM, then SIGKILL after `graceMs`; the promise rejects with the abort reason. */
  readonly signal?: AbortSignal | undefined;
  /** Default 2 s. */
  readonly graceMs?: number;
  readonly timeoutMs?: number;
  /** Called with each complete line of stdout and stderr as it arrives. */
  readonly onLine?: (line: string) => void;
  /** Bytes kept of each stream (default 4 MiB); the oldest excess is dropped. */
  readonly maxOutput?: number;
  readonly detached?: boolean;
  /** It gets a process group of its own, and is ended with all of it: also what it has just started and does not wait for. */
  readonly asGroup?: boolean;
}

export interface RunResult {
  /** Exit code; null for a killed process, which has `signal` set instead. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A chunk may end within a character, which is held until the rest arrives. */
function lineSplitter(onLine: (line: string) => void): { push(chunk: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    push(chunk) {
      const lines = (rest + decoder.write(chunk)).split(/\r?\n|\r/);
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    },
    end() {
      rest += decoder.end();
      if (rest !== '') onLine(rest);
    },
  };
}

/**
 * Runs a program without a shell and resolves when it has ended, whatever its exit code. Rejects with `host.missing-tool` when it is not
 * installed, `host.denied` when it may not be executed, `cancelled` on abort, `host.unavailable` on timeout.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new EngineError('internal', 'run() was called without a program.');
  options.signal?.throwIfAborted();
  const limit = options.maxOutput ?? 4 * 1024 * 1024;
  const stdout = new Tail(limit);
  const stderr = new Tail(limit);
  return await new Promise<RunResult>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: options.detached === true || options.asGroup === true,
    });
    let failure: unknown;
    let hardKill: NodeJS.Timeout | undefined;
    const kill = (signal: NodeJS.Signals): void => {
      if (options.asGroup !== true || child.pid === undefined) child.kill(signal);
      else killGroup(child.pid, signal);
    };
    const stop = (reason: unknown): void => {
      failure ??= reason;
      kill('SIGTERM');
      hardKill ??= setTimeout(() => kill('SIGKILL'), options.graceMs ?? 2000);
    };
    const onAbort = (): void => stop(new EngineError('cancelled', `Cancelled while ${program} was running.`));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => stop(new EngineError('host.unavailable', `${program} did not finish in ${(options.timeoutMs ?? 0) / 1000} s.`)),
            options.timeoutMs,
          );
    const cleanUp = (): void => {
      options.signal?.removeEventListener('abort', onAbort);
      clearTimeout(timer);
      clearTimeout(hardKill);
    };
    for (const [stream, tail] of [
      [child.stdout, stdout],
      [child.stderr, stderr],
    ] as const) {
      const lines = options.onLine === undefined ? undefined : lineSplitter(options.onLine);
      stream?.on('data', (chunk: Buffer) => {
        tail.push(chunk);
        lines?.push(chunk);
      });
      stream?.on('end', () => lines?.end());
    }
    child.stdin?.on('error', (error: NodeJS.ErrnoException) => {
      // A program may end without reading its input; any other error is a failure of the pipe.
      if (error.code !== 'EPIPE') failure ??= error;
    });
    if (options.input !== undefined) child.stdin?.end(options.input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      cleanUp();
      if (error.code === 'ENOENT') {
        reject(new EngineError('host.missing-tool', `The program ${program} is not installed.`, { cause: error, details: { program } }));
      } else if (error.code === 'EACCES') {
        reject(new EngineError('host.denied', `The program ${program} may not be executed.`, { cause: error, details: { program } }));
      } else reject(error);
    });
    child.on('close', (code, signal) => {
      cleanUp();
      if (failure !== undefined) reject(failure);
      else resolve({ code, signal, stdout: stdout.toString(), stderr: stderr.toString() });
    });
  });
}

function killGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    // All of it has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Like `run`, but a non-zero exit is an error: `message` says what was being done; the details hold command, exit code and the end of
 * stderr.
 */
export async function runChecked(argv: readonly string[], message: string, options: RunOptions = {}): Promise<RunResult> {
  const result = await run(argv, options);
  if (result.code === 0) return result;
  const lastLine = result.stderr.trim().split('\n').at(-1) ?? '';
  throw new EngineError('host.unavailable', lastLine === '' ? message : `${message} ${lastLine}`, {
    details: { command: argv.join(' '), exit: result.code ?? result.signal ?? 'killed', stderr: result.stderr.slice(-4000) },
  });
}
