import { appendFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { IRawProperty, Parameters } from 'fast-check';

// By require: an import would lead back to this file, which stands in for fast-check while fuzzing.
const real = createRequire(import.meta.url)('fast-check') as typeof import('fast-check');
const seed = Number(process.env['TORTURE_SEED']);
const limitMs = Number(process.env['TORTURE_LIMIT_MS']);
const counts = process.env['TORTURE_COUNTS'] ?? '';

/** As many inputs as there is time for. */
function assert<Ts>(property: IRawProperty<Ts>, parameters?: Parameters<Ts>): Promise<void> | void {
  return real.assert(property, {
    ...parameters,
    seed,
    numRuns: 100_000_000,
    interruptAfterTimeLimit: limitMs,
    reporter: (details) => {
      appendFileSync(counts, `${details.numRuns}\n`);
      if (details.failed) throw new Error(real.defaultReportMessage(details));
    },
  });
}

export default { ...real, assert };
