import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, makeScratch, root, runTimed } from './support/measure.ts';

/** Cold `lago status`, compared with the minimum cost of starting Node. */
export const title = 'cold "lago status" of a prepared environment against "node -e 0"';
export const goal = 'ratio <= 2';

const INIT = {
  nets: { mgmt: { type: 'nat', management: true, dhcp: { start: 100, end: 254 } } },
  domains: Object.fromEntries(
    ['web', 'db'].map((name) => [
      name,
      {
        memory: 256,
        vcpu: 1,
        nics: [{ net: 'mgmt' }],
        disks: [{ type: 'empty', name: 'root', dev: 'vda', format: 'qcow2', size: '1G' }],
      },
    ]),
  ),
};

export async function run(): Promise<Record<string, number>> {
  const cli = join(root, 'out/cli/lago.cjs');
  if (!existsSync(cli)) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  using scratch = makeScratch();
  const { env, dir: cwd } = scratch;
  writeFileSync(join(cwd, 'LagoInitFile'), JSON.stringify(INIT));
  await runTimed({ argv: [process.execPath, cli, 'init', '--skip-bootstrap'], env, cwd });
  const { stdout } = await runTimed({ argv: [process.execPath, cli, '--out-format', 'json', 'status'], env, cwd });
  if (!stdout.includes('"web"')) throw new Error(`lago status did not show the environment:\n${stdout}`);
  const { ratio, ours, reference } = await alternate(
    15,
    async () => (await runTimed({ argv: [process.execPath, '-e', '0'], env, cwd })).ms,
    async () => (await runTimed({ argv: [process.execPath, cli, 'status'], env, cwd })).ms,
  );
  return { ratio, status_ms: Math.round(ours), node_ms: Math.round(reference) };
}
