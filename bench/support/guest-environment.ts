import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, engineFile, makeScratch, root, runTimed } from './measure.ts';

/** A running environment with one VM "web" of the sample guest, to measure copies. */
export interface GuestEnvironment extends AsyncDisposable {
  /** Where commands run. */
  readonly dir: string;
  /** Runs the command line and returns ms. */
  lago(...args: string[]): Promise<number>;
  /** Runs a program inside the environment's own network, from where alone the VM can be reached, and returns its ms. */
  inside(...argv: string[]): Promise<number>;
  /** What OpenSSH's programs need to log in. */
  readonly sshOptions: readonly string[];
  /** The VM as they name it. */
  readonly login: string;
}

const ADDRESS = '192.168.200.2';

/** Creates and starts it and waits for ssh; disposing destroys it. */
export async function startGuestEnvironment(vm: object = {}): Promise<GuestEnvironment> {
  const cli = join(root, 'out/cli/lago.cjs');
  if (!existsSync(cli)) throw new Error('out/cli/lago.cjs is missing: npm run build makes it.');
  const scratch = makeScratch();
  const { env, dir } = scratch;
  const disk = { name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' };
  const init = {
    nets: { net: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 254 } } },
    domains: { web: { memory: 512, vcpu: 1, nics: [{ net: 'net', ip: ADDRESS }], disks: [disk], ...vm } },
  };
  writeFileSync(join(dir, 'LagoInitFile'), JSON.stringify(init));
  const run = async (argv: readonly string[]): ReturnType<typeof runTimed> => await runTimed({ argv, env, cwd: dir });
  const lago = async (...args: string[]): Promise<number> => (await run([process.execPath, cli, ...args])).ms;
  const prefix = join(dir, '.lago/default');
  const program = await bundle(
    scratch,
    `import { engineSettings, loadConfig } from ${engineFile('configuration/config.ts')};
import { silentLog } from ${engineFile('core/log.ts')};
import { readPrefix } from ${engineFile('prefix/prefix.ts')};
import { createHostAccess } from ${engineFile('runtime/session.ts')};
const [prefix, ...argv] = process.argv.slice(2);
const settings = engineSettings(await loadConfig());
const hosts = createHostAccess({ settings, resourcesDir: ${JSON.stringify(join(root, 'resources'))}, log: silentLog });
const session = await hosts.find(await readPrefix(prefix), undefined);
const began = performance.now();
const result = await session.host.run(argv, { timeoutMs: 600_000 });
if (result.code !== 0) throw new Error(result.stderr);
console.log(performance.now() - began);
await hosts[Symbol.asyncDispose]();
process.exit();
`,
  );
  await lago('init');
  await lago('start');
  await lago('shell', 'web', 'true');
  const known = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes'];
  return {
    dir,
    lago,
    inside: async (...argv) => Number((await run([...program, prefix, ...argv])).stdout),
    sshOptions: ['-i', join(prefix, 'id_ed25519'), ...known.flatMap((option) => ['-o', option])],
    login: `root@${ADDRESS}`,
    async [Symbol.asyncDispose]() {
      await lago('destroy', '--yes');
      scratch[Symbol.dispose]();
    },
  };
}
