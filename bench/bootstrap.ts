import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { alternate, bundle, engineFile, makeScratch, root, runTimed, say } from './support/measure.ts';

/** Personalising a disk in both ways, compared with calling the tools by hand. */
export const title = '20 cloud-init seeds against genisoimage; virt-sysprep of a Debian guest against the same call by hand';
export const goal = 'seed_ratio <= 0.5, sysprep_ratio <= 1.1';

const SEEDS = 20;
const SEED_ROUNDS = 7;
/** Few, because each takes up to a minute without hardware virtualization. */
const SYSPREP_ROUNDS = 5;

async function seeds(): Promise<{ readonly ratio: number; readonly ours: number; readonly reference: number }> {
  using scratch = makeScratch();
  const argv = await bundle(
    scratch,
    `import { writeFileSync } from 'node:fs';
import { nocloudSeed, nocloudFiles } from ${engineFile('seed/cloud-init.ts')};
const [folder, files] = process.argv.slice(2);
const seed = (n) => ({ hostname: \`vm\${n}\`, instanceId: \`i-\${n}\`, publicKey: 'ssh-ed25519 AAAA lago', rootPassword: 'secret', networkConfig: { version: 2 } });
if (files === 'files') for (const { name, content } of nocloudFiles(seed(0))) writeFileSync(\`\${folder}/\${name}\`, content);
const began = performance.now();
for (let n = 0; n < ${SEEDS}; n++) writeFileSync(\`\${folder}/\${n}.iso\`, nocloudSeed(seed(n)), { mode: 0o600 });
console.log(performance.now() - began);
`,
  );
  await runTimed({ argv: [...argv, scratch.dir, 'files'] });
  const names = ['meta-data', 'user-data', 'network-config'].map((name) => join(scratch.dir, name)).join(' ');
  const each = `genisoimage -quiet -output ${scratch.dir}/by-hand-$n.iso -volid cidata -joliet -rock ${names}`;
  return await alternate(
    SEED_ROUNDS,
    async () => (await runTimed({ argv: ['bash', '-ec', `for n in $(seq ${SEEDS}); do ${each}; done`] })).ms,
    async () => Number((await runTimed({ argv: [...argv, scratch.dir] })).stdout),
  );
}

async function sysprep(): Promise<{ readonly ratio: number; readonly ours: number; readonly reference: number }> {
  using scratch = makeScratch();
  say('  Debian guests (built once)');
  const loader = join(root, 'scripts/typescript.mjs');
  const { stdout } = await runTimed({ argv: [process.execPath, '--import', loader, join(root, 'scripts/debian-guest.ts')] });
  const guests = JSON.parse(stdout) as { readonly repository: string; readonly env: Readonly<Record<string, string>> };
  const disk = join(scratch.dir, 'disk.qcow2');
  const fresh = async (): Promise<void> => {
    rmSync(disk, { force: true });
    const base = join(dirname(guests.repository), 'plain.qcow2');
    await runTimed({ argv: ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, disk] });
  };
  const argv = await bundle(
    scratch,
    `import { writeFileSync } from 'node:fs';
import { silentLog } from ${engineFile('core/log.ts')};
import { commandsFile } from ${engineFile('appliance/appliance.ts')};
import { sysprep } from ${engineFile('appliance/sysprep.ts')};
import { sysprepCommands } from ${engineFile('appliance/sysprep-commands.ts')};
const [disk, scratch, commands] = process.argv.slice(2);
const about = { vm: 'web', family: 'debian', nics: [{ index: 0, mac: '54:52:c0:a8:c8:02' }], publicKey: 'ssh-ed25519 AAAA lago', rootPassword: 'secret' };
if (commands !== undefined) writeFileSync(commands, commandsFile(sysprepCommands({ ...about, rootPassword: true })));
else {
  const began = performance.now();
  await sysprep({ ...about, disk, format: 'qcow2' }, { accelerator: 'tcg', scratch, log: silentLog });
  console.log(performance.now() - began);
}
`,
  );
  await runTimed({ argv: [...argv, disk, join(scratch.dir, 'appliance'), join(scratch.dir, 'commands')] });
  writeFileSync(join(scratch.dir, 'password'), 'secret\n');
  writeFileSync(join(scratch.dir, 'key.pub'), 'ssh-ed25519 AAAA lago\n');
  if (!readFileSync(join(scratch.dir, 'commands'), 'utf8').includes('hostname web')) throw new Error('There are no commands.');
  const env = { ...guests.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };
  const byHand = ['virt-sysprep', '--quiet', '--format', 'qcow2', '-a', disk, '--commands-from-file', 'commands'];
  return await alternate(
    SYSPREP_ROUNDS,
    async () => {
      await fresh();
      return (await runTimed({ argv: byHand, cwd: scratch.dir, env })).ms;
    },
    async () => {
      await fresh();
      return Number((await runTimed({ argv: [...argv, disk, join(scratch.dir, 'appliance')], env })).stdout);
    },
  );
}

export async function run(): Promise<Record<string, number>> {
  const seed = await seeds();
  const prepared = await sysprep();
  return {
    seed_ratio: seed.ratio,
    sysprep_ratio: prepared.ratio,
    seed_ms: Math.round(seed.ours),
    genisoimage_ms: Math.round(seed.reference),
    sysprep_ms: Math.round(prepared.ours),
    by_hand_ms: Math.round(prepared.reference),
  };
}
