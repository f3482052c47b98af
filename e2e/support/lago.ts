import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { root, type Scratch } from './scratch.ts';

export const CLI = join(root, 'out/cli/lago.cjs');

export interface Outcome {
  /** Exit code; 128 + signal when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** By default the scratch folder, whose `.lago` is then the workdir. */
  readonly cwd?: string;
  /** For stdin: all of it, or what a stream brings until it ends. */
  readonly input?: string | Readable;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the command as this user id, without groups: the rootless case. */
  readonly uid?: number;
  /** Words before the command that move it to other namespaces. */
  readonly enter?: readonly string[];
  /** Called as soon as the process has started. */
  readonly onStart?: (child: ChildProcess) => void;
  /** Called while `LAGO_FAULT=hold:N` has stopped the process, which then continues. A command that ends without being held is an error. */
  readonly whileHeld?: () => unknown;
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Runs `lago ARGS` as a user would, in its own process. Never rejects because of an exit code. */
export async function lago(scratch: Scratch, args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const cwd = options.cwd ?? scratch.dir;
  // nsenter changes to the root folder.
  const enter = options.enter === undefined ? [] : [...options.enter, 'env', '-C', cwd];
  const command = [...enter, process.execPath, CLI, ...args];
  const [program = '', ...rest] =
    options.uid === undefined ? command : ['setpriv', `--reuid=${options.uid}`, `--regid=${options.uid}`, '--clear-groups', ...command];
  return await new Promise<Outcome>((resolve, reject) => {
    const child = spawn(program, rest, {
      cwd,
      env: { ...scratch.env, ...options.env },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    if (typeof options.input === 'string') child.stdin?.end(options.input);
    else if (child.stdin !== null) options.input?.pipe(child.stdin);
    child.on('error', reject);
    const ended = new Promise<readonly [number | null, NodeJS.Signals | null]>((end) =>
      child.on('close', (code, signal) => end([code, signal])),
    );
    options.onStart?.(child);
    const held = options.whileHeld === undefined ? undefined : whenHeld(child, options.whileHeld);
    Promise.all([ended, held]).then(([[code, signal]]) => {
      resolve({
        code: code ?? 128 + (SIGNALS[signal ?? ''] ?? 0),
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      });
    }, reject);
  });
}

/** Like `lago`, but any exit code other than 0 is an error that contains the output. */
export async function lagoOk(scratch: Scratch, args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const outcome = await lago(scratch, args, options);
  if (outcome.code === 0) return outcome;
  throw new Error(`lago ${args.join(' ')} ended with ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`);
}

async function whenHeld(child: ChildProcess, work: () => unknown): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    // The state follows the name, which is in brackets and may contain brackets itself.
    const state = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0];
    if (state === 'T') {
      await work();
      child.kill('SIGCONT');
      return;
    }
    await setTimeout(20);
  }
  throw new Error('The command ended before it was held.');
}
