import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, makeScratch, root, runTimed } from './support/measure.ts';
import { pythonWith } from './support/python.ts';

/** Checking a real init file, process start included, compared with only parsing it in Python. */
export const title = 'cold "lago validate" of the largest real init file against python3 that only reads it (yaml.safe_load)';
export const goal = 'ratio <= 4';

export async function run(): Promise<Record<string, number>> {
  const cli = join(root, 'out/cli/lago.cjs');
  if (!existsSync(cli)) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  const python = await pythonWith('yaml', 'python3-yaml');
  using scratch = makeScratch();
  const { env, dir: cwd } = scratch;
  const folder = join(root, 'fixtures/lago/init');
  // Valid files only: checking stops early in files that are still templates.
  const candidates = readdirSync(folder).filter((name) => existsSync(join(root, 'fixtures/lago/golden', `${name}.json`)));
  const size = (name: string): number => statSync(join(folder, name)).size;
  const file = join(folder, candidates.sort((left, right) => size(right) - size(left))[0] ?? '');
  const read = `import sys, yaml; yaml.safe_load(open(sys.argv[1]))`;
  const { ratio, ours, reference } = await alternate(
    11,
    async () => (await runTimed({ argv: [python, '-c', read, file], env, cwd })).ms,
    // The scripts and templates that it names are on no machine any more, which is found last.
    async () => (await runTimed({ argv: [process.execPath, cli, 'validate', file], env, cwd, fine: [2] })).ms,
  );
  return { ratio, validate_ms: Math.round(ours), python_ms: Math.round(reference), bytes: statSync(file).size };
}
