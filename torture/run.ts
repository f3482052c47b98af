import { existsSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chaos } from './chaos.ts';
import type { Torture } from './contract.ts';
import { faults } from './faults.ts';
import { fuzz } from './fuzz.ts';
import { kills } from './kills.ts';
import { leases } from './leases.ts';
import { Report, say } from './report.ts';
import { removeAllSandboxes, root } from './sandbox.ts';
import { snapshotKills } from './snapshots/snapshot-kills.ts';
import { snapshotModel } from './snapshots/snapshot-model.ts';

/**
 * `npm run torture -- [--short] [--seed N] [--only K] [--kills N] [--steps N] [--minutes N] [NAME…]`: long, bounded, random tests. Failures go to
 * stderr at once, with the command that repeats them; the last line of stdout is the count. Exits with 1 when something leaked or was
 * lost, with 2 for invalid arguments. Nothing is sent outside this machine.
 */
Object.assign(process.env, { LAGO_CONFINED: '1', LAGO_UPLINK: 'none' });

interface Part {
  readonly run: (torture: Torture) => Promise<void>;
  readonly shortSeconds: number;
  readonly share: number;
  /** The usual number of kills. */
  readonly kills?: { readonly long: number; readonly short: number };
}

/** In order, each with its share of the time. A short run limits kills by number; its time limit is for slow machines. */
const ALL = {
  kills: { run: kills, shortSeconds: 360, share: 0.45, kills: { long: 1000, short: 66 } },
  'snapshot-model': { run: snapshotModel, shortSeconds: 180, share: 0.1 },
  'snapshot-kills': { run: snapshotKills, shortSeconds: 180, share: 0.2, kills: { long: 100, short: 8 } },
  faults: { run: faults, shortSeconds: 80, share: 0.1 },
  chaos: { run: chaos, shortSeconds: 60, share: 0.07 },
  leases: { run: leases, shortSeconds: 20, share: 0.03 },
  fuzz: { run: fuzz, shortSeconds: 20, share: 0.05 },
} as const satisfies Readonly<Record<string, Part>>;
type Name = keyof typeof ALL;
const NAMES = Object.keys(ALL) as Name[];

function wholeNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${option} wants a whole number.`);
  return Number(text);
}

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { short: { type: 'boolean' }, seed: text, only: text, kills: text, steps: text, minutes: text },
  });
  const wrong = positionals.filter((name) => !NAMES.includes(name as Name));
  if (wrong.length > 0) throw new Error(`There is no ${wrong.join(', ')}; there are ${NAMES.join(', ')}.`);
  if (!existsSync(join(root, 'out/cli/lago.cjs'))) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  const seed = wholeNumber(values.seed, 'seed') ?? Date.now() % 1_000_000_000;
  const short = values.short === true;
  const most = wholeNumber(values.kills, 'kills');
  const minutes = wholeNumber(values.minutes, 'minutes') ?? 150;
  const names = positionals.length === 0 ? NAMES : (positionals as Name[]);
  const report = new Report(seed);
  say(`torture: seed ${seed}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`);
  const shares = names.reduce((sum, name) => sum + ALL[name].share, 0);
  for (const name of names) {
    const { run, shortSeconds, share, kills: usual }: Part = ALL[name];
    const seconds = short && values.minutes === undefined ? shortSeconds : (minutes * 60 * share) / shares;
    const began = Date.now();
    const budget = {
      kills: most ?? usual?.[short ? 'short' : 'long'] ?? 0,
      steps: wholeNumber(values.steps, 'steps'),
      until: began + seconds * 1000,
      short,
      only: wholeNumber(values.only, 'only'),
      signal,
    };
    const torture: Torture = { seed, budget, report };
    try {
      await run(torture);
    } catch (error) {
      if (signal.aborted) break;
      report.failed(name, 0, 'the torture itself', error);
    }
    say(`${name}: ${((Date.now() - began) / 1000).toFixed(0)} s`);
  }
  say(report.table());
  process.stdout.write(`${report.line()}\n`);
  if (signal.aborted) return 130;
  return report.leaks === 0 && report.lost === 0 ? 0 : 1;
}

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // The first signal ends the sandboxes' processes, and with them the current attempts; a second one exits at once.
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort();
    removeAllSandboxes();
  });
}
process.on('exit', removeAllSandboxes);
try {
  process.exitCode = await main(process.argv.slice(2), interrupted.signal);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
