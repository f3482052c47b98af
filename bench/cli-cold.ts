import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, makeScratch, root, runTimed, say } from './support/measure.ts';

/** The most common commands, cold, compared with the minimum cost of starting Node. */
export const title = 'cold "lago status", "lago list", "lago leases" and "lago --help" against "node -e 0"';
export const goal = 'status_ratio <= 2, the other ratios <= 1.3';

const INIT = {
  nets: { mgmt: { type: 'nat', management: true, dhcp: { start: 100, end: 254 } } },
  domains: {
    web: { memory: 256, nics: [{ net: 'mgmt' }], disks: [{ type: 'empty', name: 'root', dev: 'vda', format: 'qcow2', size: '1G' }] },
  },
};

export async function run(): Promise<Record<string, number>> {
  const cli = join(root, 'out/cli/lago.cjs');
  if (!existsSync(cli)) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  using scratch = makeScratch();
  const { env, dir: cwd } = scratch;
  writeFileSync(join(cwd, 'LagoInitFile'), JSON.stringify(INIT));
  await runTimed({ argv: [process.execPath, cli, 'init', '--skip-bootstrap'], env, cwd });
  const figures: [string, Awaited<ReturnType<typeof alternate>>][] = [];
  for (const [name, words] of [
    ['status', ['status']],
    ['list', ['list']],
    ['leases', ['leases']],
    ['help', ['--help']],
  ] as const) {
    say(`  lago ${words.join(' ')}`);
    const measured = await alternate(
      11,
      async () => (await runTimed({ argv: [process.execPath, '-e', '0'], env, cwd })).ms,
      async () => (await runTimed({ argv: [process.execPath, cli, ...words], env, cwd })).ms,
    );
    figures.push([name, measured]);
  }
  return Object.fromEntries([
    ...figures.map(([name, { ratio }]) => [`${name}_ratio`, ratio]),
    ...figures.map(([name, { ours }]) => [`${name}_ms`, Math.round(ours)]),
  ]) as Record<string, number>;
}
