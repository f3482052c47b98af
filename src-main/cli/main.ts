import { constants } from 'node:os';
import { version } from '../../package.json';
import { EngineError } from '../../src-shared/errors.ts';
import { findResources, freeStaleLeases, listLeases, openEngine, readSpecs } from '../engine/index.ts';
import { runCommandLine } from './command-line.ts';

/** Exits with `code` once all output is written, even if handles are still open. */
async function leave(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((done) => {
      stream.write('', () => done());
    });
  }
  process.exit(code);
}

/** The first signal cancels, so that the work is undone; the second exits at once. */
function watchSignals(): { readonly signal: AbortSignal; exitCode(code: number): number } {
  const abort = new AbortController();
  let received: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const code = 128 + constants.signals[name];
      if (received !== undefined) {
        process.stderr.write(
          '\nInterrupted without cleaning up. The next command on this environment finishes or undoes what was begun.\n',
        );
        process.exit(code);
      }
      received = code;
      process.stderr.write('\nCancelling and undoing; press Ctrl-C again to quit at once.\n');
      abort.abort(new EngineError('cancelled', 'Cancelled.'));
    });
  }
  return { signal: abort.signal, exitCode: (code) => received ?? code };
}

async function main(): Promise<void> {
  // zod's own `config` would load it, and most verbs do without. Functions that it would compile for each schema run once or twice here.
  Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // EPIPE: the reader of our output has exited (`lago list | head -1`). No other error can be reported here.
      process.exit(error.code === 'EPIPE' ? 128 + constants.signals.SIGPIPE : 1);
    });
  }
  process.on('uncaughtException', (error) => {
    process.stderr.write(`error: ${error.message}\nhint: This is a bug of lago; run it with "--loglevel debug" and report what it says.\n`);
    process.exit(1);
  });
  const signals = watchSignals();
  const code = await runCommandLine(process.argv.slice(2), {
    cwd: process.cwd(),
    environment: process.env,
    // Node makes it, with all that this loads, when it is first asked for.
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    door: { openEngine, readSpecs, listLeases, freeStaleLeases },
    resourcesDir: findResources(import.meta.dirname),
    command: process.argv.slice(0, 2),
    version,
    signal: signals.signal,
  });
  await leave(signals.exitCode(code));
}

void main();
