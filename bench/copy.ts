import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startGuestEnvironment } from './support/guest-environment.ts';
import { alternate } from './support/measure.ts';

/** Many small files into a VM, the whole command line included. */
export const title = '5,000 files to a VM by "lago copy-to-vm", against scp -r inside the environment’s network';
export const goal = 'ratio <= 0.8';

const FILES = 5000;
const ROUNDS = 3;

export async function run(): Promise<Record<string, number>> {
  await using guest = await startGuestEnvironment();
  const tree = join(guest.dir, 'tree');
  for (let n = 0; n < FILES; n++) {
    const folder = join(tree, `d${n % 50}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${n}`), 'x'.repeat(n % 1000));
  }
  const fresh = async (): Promise<number> => await guest.lago('shell', 'web', 'rm -rf /root/copy');
  const { ratio, ours, reference } = await alternate(
    ROUNDS,
    async () => {
      await fresh();
      return await guest.inside('scp', '-q', '-r', ...guest.sshOptions, tree, `${guest.login}:/root/copy`);
    },
    async () => {
      await fresh();
      return await guest.lago('copy-to-vm', 'web', tree, '/root/copy');
    },
  );
  return { ratio, ours_ms: Math.round(ours), scp_ms: Math.round(reference) };
}
