import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { attempts, type Torture } from './contract.ts';
import { CASES } from './fault-cases.ts';
import { expectCode, lago, lagoOk } from './lago.ts';
import { randomOf } from './random.ts';
import { expectThat, say } from './report.ts';
import { lastingProcesses, leftovers, makeSandbox, removeSandbox, type Sandbox } from './sandbox.ts';

const DISK = '360m';

/** Mounts a small disk over the sandbox's workdir. Returns the words that make a verb see it. */
async function smallDisk(sandbox: Sandbox): Promise<readonly string[]> {
  const folder = join(sandbox.dir, '.lago');
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const script = 'mkdir -p "$0" && mount -t tmpfs -o size="$1" none "$0" && echo ready && exec sleep infinity';
  const holder = spawn('unshare', [...user, '--mount', 'sh', '-c', script, folder, DISK], {
    env: sandbox.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  holder.stdout.destroy();
  holder.unref();
  return ['nsenter', '--target', String(holder.pid), ...(user.length === 0 ? [] : ['--user', '--preserve-credentials']), '--mount'];
}

async function tryCase(name: string, run: (typeof CASES)[string], torture: Torture, number: number): Promise<void> {
  const { report, seed } = torture;
  const sandbox = makeSandbox();
  try {
    const enter = name === 'disk full' ? await smallDisk(sandbox) : [];
    const random = randomOf(seed, 'faults', number);
    await lagoOk(sandbox, ['init'], { enter });
    await lagoOk(sandbox, ['start'], { enter });
    report.faults += 1;
    let failed = false;
    try {
      await run?.({ sandbox, random, enter });
    } catch (error) {
      torture.budget.signal.throwIfAborted();
      failed = true;
      report.failed('faults', number, name, error);
    }
    if (name === 'prefix removed') return;
    try {
      if (random.chance(0.5)) {
        expectCode(await lago(sandbox, ['stop'], { enter }), [0]);
        const holder = enter[2] ?? '';
        const left = (await lastingProcesses(sandbox, holder)).map(({ command }) => command.slice(0, 80));
        expectThat(left.length === 0, 'leaks', () => `expected nothing to run after stop, there are ${left.join('; ')}`);
      }
      expectCode(await lago(sandbox, ['destroy', '-y'], { enter }), [0]);
      const left = await leftovers(sandbox, enter[2]);
      expectThat(left.length === 0, 'leaks', () => `expected nothing after destroy, there is ${left.join('; ')}`);
    } catch (error) {
      torture.budget.signal.throwIfAborted();
      report.failed('faults', number, `${name}, then ended${failed ? ' (after the failure above)' : ''}`, error);
    }
  } catch (error) {
    torture.budget.signal.throwIfAborted();
    report.failed('faults', number, `${name}: the environment did not come up`, error);
  } finally {
    removeSandbox(sandbox);
  }
}

/**
 * Parts of the host fail under a running environment: verbs must report the truth within a time limit, and stop and destroy must end
 * everything.
 */
export async function faults(torture: Torture): Promise<void> {
  const cases = Object.entries(CASES);
  for (const number of attempts(torture, torture.budget.short ? cases.length : cases.length * 5)) {
    const [name, run] = cases[(number - 1) % cases.length] ?? [];
    if (name === undefined || run === undefined) continue;
    say(`faults: ${number} ${name}`);
    await tryCase(name, run, torture, number);
  }
}
