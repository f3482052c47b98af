import { appendFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as fastCheck from 'fast-check';

// By require: an import would resolve to this file, which replaces fast-check while fuzzing.
const real = createRequire(import.meta.url)('fast-check') as typeof fastCheck;
const seed = Number(process.env['TORTURE_SEED']);
const limitMs = Number(process.env['TORTURE_LIMIT_MS']);
const counts = process.env['TORTURE_COUNTS'] ?? '';

/** Makes a test wait for its last input: otherwise its clean-up would remove files that this input still writes to. */
function untilOver<Ts>(): fastCheck.Plugin<Ts> {
  return () => {
    let last: Promise<unknown> | undefined;
    return {
      decorateRun: (run) => (value) => {
        const result = run(value);
        last = result instanceof Promise ? result : undefined;
        return result;
      },
      afterAll: () => last?.then(() => undefined),
    };
  };
}

/** Runs as many inputs as there is time for. */
function assert<Ts>(property: fastCheck.IRawProperty<Ts>, parameters?: fastCheck.Parameters<Ts>): Promise<void> | void {
  const count: fastCheck.Plugin<Ts> = () => ({ onAllRunsComplete: ({ numRuns }) => appendFileSync(counts, `${numRuns}\n`) });
  // First, so that it wraps the input inside the time limit, which does not wait for an input that it interrupts.
  const plugins = [untilOver<Ts>(), real.interruptAfterTimeLimit(limitMs) as fastCheck.Plugin<Ts>, count];
  return real.assert(property, { ...parameters, seed, numRuns: 100_000_000, plugins });
}

export default { ...real, assert };
