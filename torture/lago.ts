import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expectThat } from './report.ts';
import { root, type Sandbox, signalTo } from './sandbox.ts';

const CLI = join(root, 'out/cli/lago.cjs');
const REPOSITORY = join(root, '.cache/templates/repo.json');
/** Time limit for a verb, whatever was done to its environment. */
const BOUND_MS = 60_000;

/** When and how to end a verb: at the n-th step or effect of its work, or after a time. */
export type Ending =
  | { readonly point: number }
  | {
      readonly afterMs: number;
      readonly signal: 'SIGKILL' | 'SIGINT';
      readonly againMs?: number | undefined;
      /** The programs that it has started, too, but not those that it has let go. */
      readonly group?: boolean;
    };

export interface Outcome {
  readonly verb: string;
  /** Exit code; undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** True when it was ended because it took too long. */
  readonly late: boolean;
  readonly ms: number;
}

export interface Call {
  readonly ending?: Ending | undefined;
  /** Words before the command that move it to other namespaces. */
  readonly enter?: readonly string[];
}

export function describeEnding(ending: Ending): string {
  if ('point' in ending) return `kill:${ending.point}`;
  const again = ending.againMs === undefined ? '' : `, again after ${ending.againMs} ms`;
  return `${ending.signal}${ending.group === true ? ' to all of it' : ''} after ${ending.afterMs} ms${again}`;
}

/** Runs `lago ARGS` in a sandbox. Never rejects because of an exit code; a verb that takes too long is killed. */
export async function lago(sandbox: Sandbox, args: readonly string[], { ending, enter = [] }: Call = {}): Promise<Outcome> {
  const began = performance.now();
  const words = args[0] === 'init' ? ['init', '--template-repo-path', REPOSITORY, ...args.slice(1)] : args;
  const inside = enter.length === 0 ? [] : [...enter, 'env', '-C', sandbox.dir];
  const [program = '', ...rest] = [...inside, process.execPath, CLI, ...words];
  const fault = ending !== undefined && 'point' in ending ? { LAGO_FAULT: `kill:${ending.point}` } : {};
  const group = ending !== undefined && 'afterMs' in ending && ending.group === true;
  return await new Promise<Outcome>((done, fail) => {
    const child = spawn(program, rest, {
      cwd: sandbox.dir,
      env: { ...sandbox.env, ...fault },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: group,
    });
    let stdout = '';
    let stderr = '';
    let late = false;
    const timers: NodeJS.Timeout[] = [];
    const send = (signal: NodeJS.Signals): void => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) signalTo(group ? -child.pid : child.pid, signal);
    };
    if (ending !== undefined && 'afterMs' in ending) {
      const { afterMs, againMs, signal } = ending;
      timers.push(setTimeout(() => send(signal), afterMs));
      if (againMs !== undefined) timers.push(setTimeout(() => send(signal), afterMs + againMs));
    }
    const bound = setTimeout(() => {
      late = true;
      send('SIGKILL');
    }, BOUND_MS);
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', fail);
    child.on('exit', () => {
      for (const timer of [...timers, bound]) clearTimeout(timer);
      // Processes that the verb left running may keep its pipes open.
      timers.push(setTimeout(() => [child.stdout, child.stderr].forEach((pipe) => pipe.destroy()), 1000));
    });
    child.on('close', (code) => {
      for (const timer of timers) clearTimeout(timer);
      done({ verb: args.join(' '), code: code ?? undefined, stdout, stderr, late, ms: performance.now() - began });
    });
  });
}

/** A verb's output, for the failure message. */
export function shown({ verb, code, stderr, late }: Outcome): string {
  return `"lago ${verb}" ${late ? `still ran after ${BOUND_MS / 1000} s` : `ended with ${code ?? 'a signal'}`}: ${stderr.trim().slice(-600)}`;
}

/** The verb ended within the time limit, with one of these exit codes, and with a sentence rather than a stack trace. */
export function expectCode(outcome: Outcome, codes: readonly number[]): void {
  expectThat(
    !outcome.late && outcome.code !== undefined && codes.includes(outcome.code),
    'lost',
    () => `expected exit code ${codes.join(' or ')}; ${shown(outcome)}`,
  );
  expectThat(!/\n\s+at .*:\d+/.test(outcome.stderr), 'lost', () => `expected a sentence, not a stack; ${shown(outcome)}`);
}

/** Runs a verb that must succeed. */
export async function lagoOk(sandbox: Sandbox, args: readonly string[], call: Call = {}): Promise<Outcome> {
  const outcome = await lago(sandbox, args, call);
  expectCode(outcome, [0]);
  return outcome;
}

/** Whether a verb already has an option. */
export async function hasOption(sandbox: Sandbox, verb: string, option: string): Promise<boolean> {
  return (await lagoOk(sandbox, [verb, '--help'])).stdout.includes(option);
}
