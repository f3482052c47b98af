import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Bench, say } from './support/measure.ts';

/**
 * `npm run -s bench -- NAME` runs one measurement: progress on stderr, one line `NAME: key=value key=value` on stdout. `--list` lists
 * them. Exits with 1 when it cannot be measured, with 2 for invalid arguments. Nothing is sent outside this machine.
 */
Object.assign(process.env, { LAGO_CONFINED: '1', LAGO_UPLINK: 'none' });

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .filter((name) => name !== 'run')
  .sort();

async function load(name: string): Promise<Bench> {
  const bench = (await import(pathToFileURL(join(import.meta.dirname, `${name}.ts`)).href)) as Partial<Bench>;
  if (bench.title === undefined || bench.goal === undefined || bench.run === undefined) {
    throw new Error(`bench/${name}.ts does not export title, goal and run.`);
  }
  return bench as Bench;
}

function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

async function main(argv: readonly string[]): Promise<number> {
  const [name] = argv;
  if (name === '--list') {
    for (const each of names) {
      const { title, goal } = await load(each);
      process.stdout.write(`${each}: ${title} (goal: ${goal})\n`);
    }
    return 0;
  }
  if (name === undefined || argv.length > 1 || !names.includes(name)) {
    say(`Usage: npm run -s bench -- NAME, or --list. There are: ${names.join(', ')}.`);
    return 2;
  }
  const bench = await load(name);
  say(`${name}: ${bench.title} (goal: ${bench.goal})`);
  const figures = Object.entries(await bench.run());
  if (figures.length === 0 || figures.some(([, value]) => !Number.isFinite(value))) throw new Error(`${name} has no complete figures.`);
  process.stdout.write(`${name}: ${figures.map(([key, value]) => `${key}=${shown(value)}`).join(' ')}\n`);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
