import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, makeScratch, median, root, runTimed, say } from './measure.ts';

/** From init file to running environment, compared with a minimal script that does the same. */
export const title = 'init + start + a command by ssh in 3 VMs on the command line, against a shell script with qemu-img and virsh';
export const goal = 'ratio <= 1.1';

const COUNT = 3;
const VMS = Array.from({ length: COUNT }, (_, n) => `vm${n}`);

const INIT = {
  nets: { net: { type: 'nat', management: true, dhcp: { start: 100, end: 254 } } },
  domains: Object.fromEntries(
    VMS.map((name) => [
      name,
      {
        memory: 256,
        vcpu: 1,
        nics: [{ net: 'net' }],
        disks: [{ template_name: 'lago-sample', type: 'template', name: 'root', dev: 'vda', format: 'qcow2' }],
      },
    ]),
  ),
};

interface Repository {
  readonly templates: Readonly<Record<string, { readonly versions: Readonly<Record<string, { readonly handle: string }>> }>>;
}

/** The sample guest's image, in the form that an environment's overlays use. */
function sampleImage(repository: string): string {
  const { templates } = JSON.parse(readFileSync(repository, 'utf8')) as Repository;
  const version = Object.values(templates['lago-sample']?.versions ?? {})[0];
  if (version === undefined) throw new Error(`${repository} has no template lago-sample: npm run guest makes it.`);
  return join(repository, '..', version.handle);
}

export async function run(): Promise<Record<string, number>> {
  const cli = join(root, 'out/cli/lago.cjs');
  const repository = join(root, '.cache/templates/repo.json');
  if (!existsSync(cli)) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  if (!existsSync(repository)) throw new Error('The sample guest is missing: npm run guest makes it.');
  using scratch = makeScratch();
  const { env, dir: cwd } = scratch;
  // A copy, because a new build of the guest would remove the image below the overlays.
  const image = join(cwd, 'sample.qcow2');
  copyFileSync(sampleImage(repository), image);
  writeFileSync(join(cwd, 'LagoInitFile'), JSON.stringify(INIT));
  const lago = async (...args: string[]): Promise<number> => (await runTimed({ argv: [process.execPath, cli, ...args], env, cwd })).ms;
  const steps = { init: [] as number[], start: [] as number[], ssh: [] as number[], destroy: [] as number[] };

  async function ours(): Promise<number> {
    const began = performance.now();
    try {
      steps.init.push(await lago('init', '--template-repo-path', repository));
      steps.start.push(await lago('start'));
      steps.ssh.push(Math.max(...(await Promise.all(VMS.map(async (vm) => await lago('shell', vm, 'true'))))));
      return performance.now() - began;
    } finally {
      steps.destroy.push(await lago('destroy', '-y', '--all-prefixes'));
    }
  }

  async function reference(): Promise<number> {
    const script = join(root, 'bench/reference/env-up.sh');
    const { stdout } = await runTimed({ argv: [script, join(cwd, 'reference'), image, String(COUNT)], env, cwd });
    return Number(stdout);
  }

  const figures = await alternate(5, reference, ours);
  say(
    `  ours: ${Object.entries(steps)
      .map(([step, times]) => `${step} ${median(times).toFixed(0)} ms`)
      .join(', ')}`,
  );
  return {
    ratio: figures.ratio,
    ours_ms: Math.round(figures.ours),
    reference_ms: Math.round(figures.reference),
    init_ms: Math.round(median(steps.init)),
    start_ms: Math.round(median(steps.start)),
    ssh_ms: Math.round(median(steps.ssh)),
    destroy_ms: Math.round(median(steps.destroy)),
  };
}
