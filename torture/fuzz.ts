import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Torture } from './contract.ts';
import { root } from './sandbox.ts';
import { vitest } from './vitest-run.ts';

/** Test files with properties, which fast-check can run with other inputs. */
function filesWithProperties(): string[] {
  return ['src-shared', 'src-main'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts') && !name.includes('.lab.'))
      .map((name) => join(folder, name))
      .filter((name) => readFileSync(join(root, name), 'utf8').includes("from 'fast-check'")),
  );
}

/** Approximate number of properties, and other tests in their files, that share the time. */
const PROPERTIES = 40;

/** Runs the properties of the unit tests with this seed and many more inputs. */
export async function fuzz({ budget, report, seed }: Torture): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lago-fuzz-'));
  try {
    const counts = join(folder, 'inputs');
    const env = {
      TORTURE_SEED: String(seed),
      TORTURE_LIMIT_MS: String(Math.round((budget.until - Date.now()) / PROPERTIES)),
      TORTURE_COUNTS: counts,
    };
    const config = ['--config', join(import.meta.dirname, 'fuzz.config.ts')];
    const passed = await vitest([...config, ...filesWithProperties()], env, budget.until, budget.signal);
    const lines = readFileSync(counts, 'utf8').trim().split('\n');
    report.inputs += lines.reduce((sum, line) => sum + Number(line), 0);
    if (!passed) report.failed('fuzz', 1, 'properties', new Error('A property does not hold, see the counterexample above.'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
