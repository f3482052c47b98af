import { setTimeout as pause } from 'node:timers/promises';
import { attempts, type Torture } from './contract.ts';
import { BASE, Environment } from './environment.ts';
import { expectCode, lago, lagoOk, type Outcome } from './lago.ts';
import { expectSnapshotFiles, expectSoundImages, expectState, listedSnapshots, vmStates } from './oracle.ts';
import { type Random, randomOf } from './random.ts';
import { expectThat, say } from './report.ts';
import { leftovers, processesNamed, type Sandbox, signalTo } from './sandbox.ts';

/** Operations of a long run. */
const OPERATIONS = 50;
/** Exit codes of a verb that could not do its work: unusable host, conflict, remote, guest, hypervisor. */
const FAILED = [3, 4, 5, 6, 7];

type State = 'running' | 'paused' | 'down';

/** An operation: the state that it needs, and the one that it leads to. */
interface Operation {
  readonly args: readonly string[];
  readonly from: State;
  readonly to: State;
}

/** One blow to libvirtd: killed, or stopped for a while. */
interface Blow {
  readonly afterMs: number;
  readonly stopMs: number | undefined;
}

function operationOf(random: Random, number: number): Operation {
  const from = random.pick(['running', 'running', 'paused', 'down'] as const);
  const operations: Readonly<Record<State, readonly [Operation, ...Operation[]]>> = {
    running: [
      { args: ['stop'], from, to: 'down' },
      { args: ['suspend'], from, to: 'paused' },
      { args: ['snapshot', `c${number}`], from, to: 'running' },
      { args: ['revert', BASE], from, to: 'running' },
    ],
    paused: [
      { args: ['resume'], from, to: 'running' },
      { args: ['stop'], from, to: 'down' },
    ],
    down: [
      { args: ['start'], from, to: 'running' },
      { args: ['revert', BASE], from, to: 'running' },
    ],
  };
  return random.pick(operations[from]);
}

function blowsOf(random: Random): readonly Blow[] {
  return Array.from({ length: random.between(1, 3) }, () => ({
    afterMs: random.between(50, 2000),
    stopMs: random.chance(0.5) ? random.between(100, 8000) : undefined,
  }));
}

/** Strikes until the operation has ended, and lets a stopped libvirtd go on. Returns how many blows there were. */
async function strike(sandbox: Sandbox, blow: Blow, ended: AbortSignal): Promise<number> {
  await pause(blow.afterMs, undefined, { signal: ended }).catch(() => undefined); // ended before
  const [pid] = ended.aborted ? [] : processesNamed(sandbox, 'libvirtd');
  if (pid === undefined) return 0;
  signalTo(pid, blow.stopMs === undefined ? 'SIGKILL' : 'SIGSTOP');
  if (blow.stopMs === undefined) return 1;
  await pause(blow.stopMs);
  signalTo(pid, 'SIGCONT');
  return 1;
}

async function struck(sandbox: Sandbox, args: readonly string[], blows: readonly Blow[]): Promise<{ outcome: Outcome; hits: number }> {
  const ended = new AbortController();
  const strikes = blows.map(async (blow) => await strike(sandbox, blow, ended.signal));
  try {
    const outcome = await lago(sandbox, args);
    ended.abort();
    const hits = await Promise.all(strikes);
    return { outcome, hits: hits.reduce((sum, hit) => sum + hit, 0) };
  } finally {
    ended.abort();
    await Promise.all(strikes);
  }
}

/** Brings all VMs into a state, undisturbed. */
async function arrange(sandbox: Sandbox, state: State): Promise<void> {
  const states = Object.values(await vmStates(sandbox));
  if (states.every((one) => one === state)) return;
  if (state === 'down') await lagoOk(sandbox, ['stop']);
  else {
    if (states.includes('paused')) await lagoOk(sandbox, ['resume']);
    await lagoOk(sandbox, ['start']);
    if (state === 'paused') await lagoOk(sandbox, ['suspend']);
  }
}

/** Every VM is in a state that can be: the wanted one after success, and none that nobody can explain after a failure. */
async function check(sandbox: Sandbox, { args, from, to }: Operation, outcome: Outcome): Promise<void> {
  expectCode(outcome, [0, ...FAILED]);
  const states = Object.values(await vmStates(sandbox));
  const allowed = outcome.code === 0 ? [to] : [from, to, 'down', ...(args[0] === 'snapshot' || args[0] === 'revert' ? ['paused'] : [])];
  expectThat(
    states.every((state) => allowed.includes(state)),
    'lost',
    () => `expected VMs ${allowed.join(' or ')} after "${args.join(' ')}" (${outcome.code}), they are ${states.join()}: ${outcome.stderr}`,
  );
}

/** What is listed is complete, nothing else is in the disks, and the snapshot of this operation goes again. */
async function checkSnapshots(sandbox: Sandbox, operation: Operation, succeeded: boolean): Promise<void> {
  const [verb, name = ''] = operation.args;
  const listed = await listedSnapshots(sandbox);
  expectThat(listed.includes(BASE), 'lost', () => `expected snapshot ${BASE}, there are ${listed.join(', ')}`);
  if (verb === 'snapshot' && succeeded) expectThat(listed.includes(name), 'lost', () => `expected snapshot ${name}: ${listed.join(', ')}`);
  if (!succeeded) {
    // The next ordinary verb takes back, or finishes, what was begun.
    await arrange(sandbox, 'running');
    await lagoOk(sandbox, ['start']);
  }
  expectSnapshotFiles(sandbox);
  if (verb === 'snapshot' && listed.includes(name)) await lagoOk(sandbox, ['snapshot', '--delete', name]);
}

/**
 * libvirtd is killed or stopped for a while at random moments of ordinary operations of one environment: none hangs, each succeeds or says
 * why not, the next ordinary verb goes on from there, and at the end nothing is left.
 */
export async function chaos(torture: Torture): Promise<void> {
  const { report, seed, budget } = torture;
  const environment = new Environment();
  const { sandbox } = environment;
  try {
    await environment.build();
    for (const number of attempts(torture, OPERATIONS)) {
      const random = randomOf(seed, 'chaos', number);
      const operation = operationOf(random, number);
      const blows = blowsOf(random);
      const words = blows.map(
        ({ afterMs, stopMs }) => `${stopMs === undefined ? 'killed' : `stopped for ${stopMs} ms`} after ${afterMs} ms`,
      );
      const moment = `${operation.args.join(' ')} (${operation.from}), libvirtd ${words.join(', ')}`;
      say(`chaos: ${number} ${moment}`);
      try {
        await arrange(sandbox, operation.from);
        const { outcome, hits } = await struck(sandbox, operation.args, blows);
        report.faults += hits;
        await check(sandbox, operation, outcome);
        await checkSnapshots(sandbox, operation, outcome.code === 0);
      } catch (error) {
        budget.signal.throwIfAborted();
        report.failed('chaos', number, moment, error);
        if (!(await environment.repair())) return;
      }
    }
    await lagoOk(sandbox, ['stop']);
    await expectState(sandbox, 'down');
    expectSoundImages(sandbox);
    await lagoOk(sandbox, ['destroy', '-y']);
    const left = await leftovers(sandbox);
    expectThat(left.length === 0, 'leaks', () => `expected nothing after destroy, there is ${left.join('; ')}`);
  } catch (error) {
    budget.signal.throwIfAborted();
    report.failed('chaos', 0, 'before or after all operations', error);
  } finally {
    await environment.remove();
  }
}
