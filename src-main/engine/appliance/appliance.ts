import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import type { Log } from '../core/log.ts';
import { type RunResult, run } from '../core/run.ts';
import { sleep } from '../core/until.ts';

/** How to run libguestfs on one disk. Its programs start a small VM, the appliance, with the disk attached. */
export interface ApplianceOptions {
  /** Must be given: libguestfs fails where /dev/kvm exists but does not work, unless told to use TCG. */
  readonly accelerator: 'kvm' | 'tcg';
  /** Folder for the run. It may hold secrets: it is created with mode 0700 and removed at the end. */
  readonly scratch: string;
  /** Receives the program's whole output, line by line. */
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
  /** What it is doing right now, for display. */
  readonly onDetail?: ((detail: string) => void) | undefined;
  /** How long it may be silent before it counts as hung, ms. Default 10 minutes: relabelling a large disk is silent for long. */
  readonly quietMs?: number;
  /** Added to the process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ApplianceCommand {
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** What failed, for the error message: a sentence without its full stop. */
  readonly failure: string;
  /** Never shown: removed from log lines and error messages. */
  readonly secrets: readonly string[];
  /** Its standard output is data of at most so many bytes, which is returned and not logged. */
  readonly dataBytes?: number;
}

/** A command of libguestfs's customization language, with its argument. */
export type CustomizeCommand = readonly [name: string, argument?: string];

const GIB = 1024 ** 3;
/** An appliance is given 1280 MiB by default and touches 0.5 to 1 GiB of it. */
const PER_APPLIANCE = GIB;
const QUIET_MS = 600_000;
const POLL_MS = 200;

/** How many appliances may run at once: limited by processors and by available memory, at least one. */
export function applianceLimit(availableMemory: number, processors: number): number {
  return Math.max(1, Math.min(processors, Math.floor(availableMemory / PER_APPLIANCE) - 1));
}

/** Limits how many things run at once. Asks for its limit anew whenever nothing is running. */
export class Turns {
  readonly #limit: () => number;
  #present = 1;
  #running = 0;

  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Waits for a free slot, runs `work`, and frees the slot. `onWait` is called once if it has to wait. */
  async take<T>(signal: AbortSignal | undefined, onWait: (running: number) => void, work: () => Promise<T>): Promise<T> {
    if (this.#running === 0) this.#present = this.#limit();
    if (this.#running >= this.#present) onWait(this.#running);
    while (this.#running >= this.#present) await sleep(POLL_MS, signal);
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
    }
  }
}

const turns = new Turns(() => applianceLimit(availableMemory(), availableParallelism()));

function availableMemory(): number {
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;
}

/**
 * The text of a `--commands-from-file`: one command a line; a backslash at the end of a line continues it. `input.invalid` for an argument
 * that ends with a backslash, which this form cannot express.
 */
export function commandsFile(commands: readonly CustomizeCommand[]): string {
  return commands
    .map(([name, argument]) => {
      if (argument === undefined) return `${name}\n`;
      if (argument.endsWith('\\')) throw new EngineError('input.invalid', `The argument of ${name} must not end with a backslash.`);
      return `${name} ${argument.replaceAll('\n', '\\\n')}\n`;
    })
    .join('');
}

/**
 * Runs a libguestfs program with `files` in its scratch folder, which has mode 0700 and is removed afterwards. Waits for a free slot, since
 * each run takes about 1 GiB of memory. When this process ends or `signal` aborts, the program and all its children end.
 * `host.missing-tool` with the package's name, `host.no-space`, `host.unavailable` when it fails or is silent for too long, `cancelled`.
 * Resolves with its standard output, if it has `dataBytes`.
 */
export async function runAppliance(
  command: ApplianceCommand,
  files: Readonly<Record<string, string>>,
  options: ApplianceOptions,
): Promise<string> {
  const { scratch, signal, log } = options;
  await makeScratch(scratch, files);
  try {
    const onWait = (running: number): void => {
      log.info(`Waiting for memory: libguestfs runs ${running} times already.`);
      options.onDetail?.('waiting for its turn');
    };
    return await turns.take(signal, onWait, async () => await runTool(command, options));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function makeScratch(scratch: string, files: Readonly<Record<string, string>>): Promise<void> {
  try {
    await mkdir(scratch, { mode: 0o700 });
    await mkdir(join(scratch, 'tmp'));
    for (const [name, content] of Object.entries(files)) await writeFile(join(scratch, name), content, { mode: 0o600 });
  } catch (error) {
    throw diskError(error, scratch);
  }
}

async function runTool(command: ApplianceCommand, options: ApplianceOptions): Promise<string> {
  const hang = new AbortController();
  const quietMs = options.quietMs ?? QUIET_MS;
  const mask = masker(command.secrets);
  let last = '';
  const watch = setTimeout(() => hang.abort(), quietMs);
  const [tool = ''] = command.argv;
  let result: RunResult;
  try {
    // timeout (here without a limit) forwards a signal to the whole process group, so to QEMU too; setpriv ends it with this process.
    result = await run(['setpriv', '--pdeathsig', 'TERM', 'timeout', '--kill-after=1', '0', ...command.argv], {
      cwd: command.cwd ?? options.scratch,
      env: { ...applianceEnvironment(options, process.env), ...options.env },
      signal: options.signal === undefined ? hang.signal : AbortSignal.any([options.signal, hang.signal]),
      ...(command.dataBytes === undefined ? {} : { maxOutput: command.dataBytes }),
      onLine: (line) => {
        watch.refresh();
        if (line.trim() === '' || command.dataBytes !== undefined) return;
        last = mask(line.trim());
        options.log.info(last);
        options.onDetail?.(last.replace(/^\[\s*[\d.]+\]\s*/, ''));
      },
    });
  } catch (error) {
    if (!hang.signal.aborted || options.signal?.aborted === true) throw error;
    throw hanging(command, tool, quietMs, last, error);
  } finally {
    clearTimeout(watch);
  }
  if (result.code !== 0) throw explain(command, tool, result, mask);
  return result.stdout;
}

/** The variables that libguestfs needs; values that the user has set are kept. */
export function applianceEnvironment(
  options: Pick<ApplianceOptions, 'accelerator' | 'scratch'>,
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  return {
    // The other backend is the user's libvirtd, which cannot read the folders of most users.
    LIBGUESTFS_BACKEND: environment['LIBGUESTFS_BACKEND'] ?? 'direct',
    ...(options.accelerator === 'kvm' ? {} : { LIBGUESTFS_BACKEND_SETTINGS: environment['LIBGUESTFS_BACKEND_SETTINGS'] ?? 'force_tcg' }),
    // Inside the scratch folder, so that nothing is left after an abort.
    LIBGUESTFS_TMPDIR: join(options.scratch, 'tmp'),
  };
}

/** Leaves out very short secrets, which would mask single letters and digits in every line. */
function masker(secrets: readonly string[]): (text: string) => string {
  const long = secrets.filter((secret) => secret.length >= 4);
  return (text) => long.reduce((masked, secret) => masked.replaceAll(secret, '•••'), text);
}

function hanging(command: ApplianceCommand, tool: string, quietMs: number, last: string, cause: unknown): EngineError {
  const minutes = quietMs >= 60_000 ? `${Math.round(quietMs / 60_000)} minutes` : `${quietMs / 1000} s`;
  const after = last === '' ? 'after its start' : `after “${last}”`;
  return new EngineError('host.unavailable', `${command.failure}: ${tool} hangs, it said nothing for ${minutes} ${after}.`, {
    cause,
    details: { command: command.argv.join(' '), lastLine: last },
    hint: 'Its helper VM does not come up or is stuck: "libguestfs-test-tool" shows where. A template with cloud-init needs none of it.',
  });
}

function missing(command: ApplianceCommand, tool: string): EngineError {
  return new EngineError('host.missing-tool', `${command.failure}: ${tool} is not installed.`, {
    details: { program: tool, package: 'libguestfs-tools' },
    hint: 'Install libguestfs-tools (Debian, Ubuntu) or guestfs-tools (Fedora, openSUSE, Arch), or use a template with cloud-init.',
  });
}

function explain(command: ApplianceCommand, tool: string, result: RunResult, mask: (text: string) => string): EngineError {
  if (result.code === 127 && result.stderr.includes('timeout: failed to run command')) return missing(command, tool);
  const stderr = mask(result.stderr);
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const reason = (
    lines.find((line) => line.startsWith(`${tool}: error: `)) ??
    lines.find((line) => line.startsWith('libguestfs: error: ')) ??
    lines.at(-1) ??
    `it ended with ${result.code ?? result.signal}`
  )
    .replace(`${tool}: error: `, '')
    .replace('libguestfs: error: ', '')
    .replace(/\.$/, '');
  const known = KNOWN.find(({ pattern }) => pattern.test(stderr));
  return new EngineError(known?.code ?? 'host.unavailable', `${command.failure}: ${reason}.`, {
    details: { command: command.argv.join(' '), exit: result.code ?? result.signal ?? 'killed', stderr: stderr.slice(-4000) },
    hint: known?.hint ?? `The log has everything that ${tool} said; "libguestfs-test-tool" shows whether libguestfs works here.`,
  });
}

const KNOWN: readonly {
  readonly pattern: RegExp;
  readonly code: 'host.no-space' | 'host.denied' | 'host.unavailable' | 'input.invalid';
  readonly hint: string;
}[] = [
  { pattern: /No space left on device/, code: 'host.no-space', hint: 'Free space for the environment and in /var/tmp, and try again.' },
  {
    pattern: /failed to find a suitable kernel|supermin exited with error|cannot find any suitable libguestfs/,
    code: 'host.unavailable',
    hint: 'libguestfs starts a kernel of this machine: install one, and let this user read it (Ubuntu: sudo chmod 0644 /boot/vmlinuz-*).',
  },
  {
    pattern: /no operating systems were found|could not detect the operating system/,
    code: 'input.invalid',
    hint: 'There is nothing on this disk to personalise: give the VM "bootstrap: none".',
  },
  {
    pattern: /failed to set MSR|failed to initialize kvm/i,
    code: 'host.unavailable',
    hint: 'KVM is there but does not work: set accelerator = tcg.',
  },
];
