// Output and errors of all set-up scripts: one line per step, and every failure says what to do.
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** A failed step; `hint` tells the user what to do next. */
export class StepError extends Error {
  /** @param {string} message @param {string} hint */
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

const seconds = (/** @type {number} */ since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/**
 * Runs `work` and prints one line about it: its title, its result, and how long it took.
 * @param {string} title
 * @param {() => Promise<string>} work returns what was found or done, in a few words
 */
export async function step(title, work) {
  const since = Date.now();
  try {
    const detail = await work();
    console.log(`ok    ${title}: ${detail} (${seconds(since)})`);
  } catch (error) {
    console.error(`FAIL  ${title} (${seconds(since)})`);
    throw error;
  }
}

/** Announces something longer, so that the terminal is not silent. */
export function note(/** @type {string} */ text) {
  console.log(`      ${text}`);
}

/**
 * Runs a program to its end with its output on the terminal. `quiet` returns the output and shows it only when the program fails.
 * @param {readonly string[]} argv
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, hint: string, what: string, quiet?: boolean }} options
 */
export async function must(argv, { cwd = root, env = process.env, hint, what, quiet = false }) {
  const [program, ...args] = argv;
  let output = '';
  const code = await new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(status ?? signal));
  }).catch((error) => {
    throw new StepError(`${what}: ${error.message}`, hint);
  });
  if (code !== 0) throw new StepError(`${output}${what} ended with ${code}.`, hint);
  return output;
}

/**
 * Runs a short program and returns its outcome; `status` is null when the program is missing.
 * @param {readonly string[]} argv
 */
export function probe(argv) {
  const [program, ...args] = argv;
  const result = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  return { status: result.error === undefined ? result.status : null, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

/**
 * Runs a script's main function. A failure prints the reason and the next step, and exits with 1.
 * @param {() => Promise<number>} main returns the exit code
 */
export async function script(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (error instanceof StepError) console.error(`\n${error.message}\n${error.hint}`);
    else console.error(error);
    process.exitCode = 1;
  }
}
