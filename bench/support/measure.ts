import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/** One measurement: a module of this folder with these exports. */
export interface Bench {
  /** What is compared with what, one line. */
  readonly title: string;
  /** The target, such as "ratio <= 3". */
  readonly goal: string;
  /** Measures and returns the figures; ratios to the reference come first. Times in ms. Progress goes to stderr. */
  run(): Promise<Readonly<Record<string, number>>>;
}

/** The checkout. */
export const root = resolve(import.meta.dirname, '../..');

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * Measures two things in turns, after one unmeasured turn of each. Both return ms; the result has their medians. The ratio is the median
 * of the ratios of all turns, so that other load on the machine affects both sides.
 */
export async function alternate(
  rounds: number,
  reference: () => Promise<number>,
  ours: () => Promise<number>,
): Promise<{ readonly reference: number; readonly ours: number; readonly ratio: number }> {
  const figures = { reference: [] as number[], ours: [] as number[] };
  await reference();
  await ours();
  for (let round = 1; round <= rounds; round++) {
    const first = await reference();
    const second = await ours();
    figures.reference.push(first);
    figures.ours.push(second);
    say(`  round ${round}: reference ${first.toFixed(0)} ms, ours ${second.toFixed(0)} ms`);
  }
  const ratios = figures.ours.map((ours, turn) => ours / (figures.reference[turn] ?? Number.NaN));
  return { reference: median(figures.reference), ours: median(figures.ours), ratio: median(ratios) };
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Exit codes beside 0 that are no failure. */
  readonly fine?: readonly number[];
}

/** Runs a program to its end and returns its duration in ms and its stdout. A failure throws with its stderr. */
export async function runTimed(command: Command): Promise<{ readonly ms: number; readonly stdout: string }> {
  const [program = '', ...args] = command.argv;
  const began = performance.now();
  return await new Promise((done, fail) => {
    const child = spawn(program, args, {
      cwd: command.cwd ?? root,
      env: { ...process.env, ...command.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', fail);
    child.on('close', (code, signal) => {
      if (code === 0 || (code !== null && command.fine?.includes(code) === true)) done({ ms: performance.now() - began, stdout });
      else fail(new Error(`${command.argv.join(' ')} failed (${code ?? signal}):\n${stderr.slice(-2000)}${stdout.slice(-2000)}`));
    });
  });
}

/** Peak resident memory in KiB of a process and its children, sampled while it runs. */
export function watchMemory(child: ChildProcess): { peak(): number } {
  const peaks = new Map<number, number>();
  const look = (pid: number): void => {
    try {
      const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      peaks.set(pid, Math.max(peaks.get(pid) ?? 0, Number(peak ?? 0)));
      for (const inner of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')) if (inner !== '') look(Number(inner));
    } catch (error) {
      // The process ended between two samples; any other error fails the measurement.
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  };
  const timer = setInterval(() => child.pid !== undefined && look(child.pid), 20);
  child.on('close', () => clearInterval(timer));
  return { peak: () => [...peaks.values()].reduce((sum, one) => sum + one, 0) };
}

/** A folder for one bench, and variables that isolate the program from the user's files. */
export interface Scratch extends Disposable {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
}

export function makeScratch(): Scratch {
  // Short: unix socket paths have at most 107 bytes.
  const dir = mkdtempSync(join(tmpdir(), 'lago-bench-'));
  const folder = (name: string): string => {
    const path = join(dir, name);
    mkdirSync(path, { mode: 0o700 });
    return path;
  };
  return {
    dir,
    env: {
      HOME: folder('home'),
      XDG_CONFIG_HOME: folder('config'),
      XDG_DATA_HOME: folder('data'),
      XDG_CACHE_HOME: folder('cache'),
      XDG_RUNTIME_DIR: folder('run'),
      DBUS_SESSION_BUS_ADDRESS: 'disabled:',
      DBUS_SYSTEM_BUS_ADDRESS: 'disabled:',
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Bundles one of our programs like the command line, so that no compiler runs with it; returns the command that runs it. */
export async function bundle(scratch: Scratch, source: string): Promise<readonly string[]> {
  const entry = join(scratch.dir, 'program.ts');
  const program = join(scratch.dir, 'program.mjs');
  writeFileSync(entry, source);
  const banner = {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url), __dirname = import.meta.dirname;",
  };
  const nodePaths = [join(root, 'node_modules')];
  const options = { platform: 'node', format: 'esm', target: 'node20', bundle: true, minify: true, logLevel: 'error' } as const;
  // ssh2 works without its optional native modules.
  const external = ['*.node', 'cpu-features'];
  await build({ ...options, entryPoints: [entry], outfile: program, nodePaths, banner, external });
  return [process.execPath, program];
}

/** Path of an engine file, for imports of a bundled program. */
export function engineFile(path: string): string {
  return JSON.stringify(join(root, 'src-main/engine', path));
}
