import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { startGuestEnvironment } from './support/guest-environment.ts';
import { alternate } from './support/measure.ts';

/** Artifacts of a running VM, the whole command line included. */
export const title = '200 MB of artifacts by "lago collect", against ssh tar inside the environment’s network';
export const goal = 'ratio <= 1.15';

const ROUNDS = 3;

export async function run(): Promise<Record<string, number>> {
  await using guest = await startGuestEnvironment({ artifacts: ['/root/logs'] });
  await guest.lago('shell', 'web', 'mkdir logs; for n in 1 2 3 4; do dd if=/dev/urandom of=logs/$n bs=1M count=50 2>/dev/null; done');
  const out = join(guest.dir, 'out');
  const fresh = (): void => rmSync(out, { recursive: true, force: true });
  const words = guest.sshOptions.join(' ');
  const { ratio, ours, reference } = await alternate(
    ROUNDS,
    async () => {
      fresh();
      const line = `mkdir ${out}; ssh ${words} ${guest.login} tar -c -f - -C /root logs | tar -x -f - -C ${out}`;
      return await guest.inside('bash', '-ec', line);
    },
    async () => {
      fresh();
      return await guest.lago('collect', '--output', out);
    },
  );
  return { ratio, ours_ms: Math.round(ours), ssh_tar_ms: Math.round(reference) };
}
