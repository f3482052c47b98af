import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runTimed, type Scratch } from './measure.ts';

/** An environment of equal VMs of the sample guest on one network, for our command line and for scripts of `reference/`. */
export interface SampleEnvironment {
  /** Names of its VMs. */
  readonly vms: readonly string[];
  /** Its prefix, once created. */
  readonly prefix: string;
  /** What `lago init` needs for another one of the same. */
  readonly initArguments: readonly string[];
  /** URI of its libvirt while it runs. */
  libvirt(): string;
  /** Creates it; returns ms. */
  init(): Promise<number>;
  /** Runs the command line and returns ms. */
  lago(...args: readonly string[]): Promise<number>;
  /** Runs a script that does something with as many VMs of the same kind, and returns the ms that it prints. */
  reference(script: string): Promise<number>;
}

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

function initFile(vms: readonly string[], memory: number): object {
  const disk = { template_name: 'lago-sample', type: 'template', name: 'root', dev: 'vda', format: 'qcow2' };
  return {
    nets: { net: { type: 'nat', management: true, dhcp: { start: 100, end: 254 } } },
    domains: Object.fromEntries(vms.map((name) => [name, { memory, vcpu: 1, nics: [{ net: 'net' }], disks: [disk] }])),
  };
}

/** Writes its init file into the scratch folder. `memory` in MiB. The caller destroys it. */
export function prepareSampleEnvironment(
  { dir, env }: Scratch,
  { count, memory }: { readonly count: number; readonly memory: number },
): SampleEnvironment {
  const cli = join(root, 'out/cli/lago.cjs');
  const repository = join(root, '.cache/templates/repo.json');
  if (!existsSync(cli)) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  if (!existsSync(repository)) throw new Error('The sample guest is missing: npm run guest makes it.');
  // A copy, because a new build of the guest would remove the image below the overlays.
  const image = join(dir, 'sample.qcow2');
  copyFileSync(sampleImage(repository), image);
  const vms = Array.from({ length: count }, (_, n) => `vm${n}`);
  writeFileSync(join(dir, 'LagoInitFile'), JSON.stringify(initFile(vms, memory)));
  const prefix = join(dir, '.lago/default');
  const initArguments = ['--template-repo-path', repository];
  const lago = async (...args: readonly string[]): Promise<number> =>
    (await runTimed({ argv: [process.execPath, cli, ...args], env, cwd: dir })).ms;
  return {
    vms,
    prefix,
    lago,
    init: async () => await lago('init', ...initArguments),
    initArguments,
    libvirt() {
      const id = readFileSync(join(prefix, 'uuid'), 'utf8').slice(0, 12);
      return `qemu:///system?socket=${env['XDG_RUNTIME_DIR']}/lago/${id}/libvirt/libvirt-sock`;
    },
    async reference(script) {
      const argv = [script, join(dir, 'reference'), image, String(count)];
      return Number((await runTimed({ argv, env: { ...env, MEMORY: String(memory) }, cwd: dir })).stdout);
    },
  };
}
