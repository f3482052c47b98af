import { BASE, type Environment, type Kept } from './environment.ts';
import { expectCode, lago, lagoOk } from './lago.ts';
import {
  expectMarks,
  expectSnapshotFiles,
  expectSoundImages,
  expectState,
  listedSnapshots,
  type Marks,
  readMarks,
  vmStates,
} from './oracle.ts';
import type { Random } from './random.ts';
import { expectThat } from './report.ts';
import { type Attempt, strike } from './struck.ts';

type Verb = 'start' | 'stop' | 'snapshot' | 'revert' | 'delete';
const MOST_SNAPSHOTS = 5;

interface Case extends Attempt {
  readonly environment: Environment;
  readonly verb: Verb;
  readonly canDelete: boolean;
}

let names = 0;

/** A snapshot other than the first one, taken now if there is none. */
async function someSnapshot(environment: Environment, random: Random): Promise<string> {
  const others = [...environment.snapshots.keys()].filter((name) => name !== BASE);
  const [first, ...rest] = others;
  if (first !== undefined) return random.pick([first, ...rest]);
  const name = `s${++names}`;
  await environment.take(name);
  return name;
}

/** Deletes old snapshots, so that disks stay small. */
async function makeRoom({ environment, canDelete }: Case): Promise<void> {
  if (environment.snapshots.size < MOST_SNAPSHOTS || !canDelete) return;
  for (const name of [...environment.snapshots.keys()].filter((each) => each !== BASE).slice(0, 2)) {
    await lagoOk(environment.sandbox, ['snapshot', '--delete', name]);
    environment.snapshots.delete(name);
  }
}

/** Prepares state and new data; returns the arguments of the verb to be killed. */
async function prepare(one: Case): Promise<{ readonly args: readonly string[]; readonly target: string | undefined }> {
  const { environment, verb, random } = one;
  await makeRoom(one);
  const running = verb === 'start' ? false : verb === 'stop' ? true : random.chance(0.6);
  if (random.chance(0.4)) {
    await environment.arrange(false);
    environment.writeMarks(random.between(2, 250));
  }
  await environment.arrange(running);
  if (verb === 'start' || verb === 'stop') return { args: [verb], target: undefined };
  if (verb === 'snapshot') {
    const target = `s${++names}`;
    return { args: ['snapshot', target], target };
  }
  const target = verb === 'revert' && random.chance(0.3) ? BASE : await someSnapshot(environment, random);
  return { args: verb === 'revert' ? ['revert', target] : ['snapshot', '--delete', target], target };
}

/** Whether all VMs run afterwards; undefined when the verb does not change that. */
type After = boolean | undefined;

/** Runs the next verb that a user might type; returns whether all VMs must run afterwards. */
async function follow(one: Case, args: readonly string[], wasRunning: boolean, target: string | undefined): Promise<After> {
  const { environment, random, note, verb } = one;
  const { sandbox } = environment;
  const another = verb === 'snapshot' || verb === 'delete' ? 'snapshot' : 'start';
  let next = random.pick(['same', 'same', 'status', 'start', 'stop', 'revert', another] as const);
  note.moment += `, then ${next}`;
  if (next === 'status') {
    await vmStates(sandbox);
    next = random.pick(['same', 'start', 'stop'] as const);
    note.moment += ` and ${next}`;
  }
  if (next === 'same') {
    const outcome = await lago(sandbox, args);
    // The snapshot whose taking or deletion was interrupted may or may not exist.
    const done =
      (verb === 'snapshot' && outcome.stderr.includes('already')) || (verb === 'delete' && outcome.stderr.includes('has no snapshot'));
    expectCode(outcome, done ? [2] : [0]);
    if (done) return undefined;
    const kept = environment.snapshots.get(target ?? '');
    if (verb === 'revert' && kept !== undefined) {
      expectMarks(sandbox, [kept.marks]);
      return kept.memory;
    }
    return verb === 'start' ? true : verb === 'stop' ? false : wasRunning;
  }
  if (next === 'start' || next === 'stop') {
    await lagoOk(sandbox, [next]);
    return next === 'start';
  }
  if (next === 'revert') {
    await lagoOk(sandbox, ['revert', BASE]);
    return true;
  }
  const name = `s${++names}`;
  await lagoOk(sandbox, ['snapshot', name]);
  environment.snapshots.set(name, { memory: wasRunning, marks: environment.marks });
  return wasRunning;
}

/** Reads what is uncertain (a killed revert may or may not have happened), after checking that it is one of the two. */
async function check(one: Case, after: After, before: Marks, target: string | undefined, kept: Kept | undefined): Promise<void> {
  const { environment, verb } = one;
  const { sandbox, snapshots } = environment;
  if (after === undefined) {
    const states = Object.values(await vmStates(sandbox));
    expectThat(
      states.every((state) => state === 'running' || state === 'down'),
      'lost',
      () => `expected VMs that run or are down, they are ${states.join()}`,
    );
    await lagoOk(sandbox, ['stop']);
    environment.running = false;
  } else environment.running = after;
  await expectState(sandbox, environment.running ? 'running' : 'down');
  const listed = await listedSnapshots(sandbox);
  const missing = [...snapshots.keys()].filter((name) => !listed.includes(name) && !(verb === 'delete' && name === target));
  expectThat(
    missing.length === 0,
    'lost',
    () => `expected snapshots ${missing.join(', ')}, "lago snapshot --list" says ${listed.join(', ')}`,
  );
  const strange = listed.filter((name) => !snapshots.has(name) && !(verb === 'snapshot' && name === target));
  expectThat(strange.length === 0, 'leaks', () => `expected no snapshots ${strange.join(', ')}`);
  expectSnapshotFiles(sandbox);
  const base = snapshots.get(BASE);
  expectMarks(sandbox, [
    before,
    ...(base === undefined ? [] : [base.marks]),
    ...(verb === 'revert' && kept !== undefined ? [kept.marks] : []),
  ]);
  environment.marks = readMarks(sandbox);
  if (!environment.running) expectSoundImages(sandbox);
  if (target === undefined) return;
  if (verb === 'delete' && !listed.includes(target)) snapshots.delete(target);
  if (verb === 'snapshot' && listed.includes(target)) snapshots.set(target, kept ?? { memory: false, marks: before });
}

/** Every listed snapshot can be reverted to, and has the data that it had when it was taken. */
async function revertSample({ environment, random }: Case): Promise<void> {
  const [first, ...rest] = environment.snapshots.keys();
  if (first === undefined) return;
  const name = random.pick([first, ...rest]);
  const kept = environment.snapshots.get(name);
  if (kept === undefined) return;
  await lagoOk(environment.sandbox, ['revert', name]);
  await expectState(environment.sandbox, kept.memory ? 'running' : 'down');
  expectMarks(environment.sandbox, [kept.marks]);
  environment.running = kept.memory;
  environment.marks = kept.marks;
}

/** Kills a verb of the kept environment, runs the next one, and checks everything. */
export async function killKept(one: Case): Promise<void> {
  const { environment, verb, report } = one;
  const { args, target } = await prepare(one);
  const wasRunning = environment.running;
  const before = environment.marks;
  const kept = target === undefined ? undefined : (environment.snapshots.get(target) ?? { memory: wasRunning, marks: before });
  const key =
    verb === 'start' || verb === 'stop' ? verb : `${verb} ${wasRunning ? 'running' : 'off'} ${kept?.memory === true ? 'memory' : 'disk'}`;
  const { struck } = await strike(environment.sandbox, args, one, key);
  one.note.moment += `, ${wasRunning ? 'running' : 'off'} (${args.join(' ')})`;
  if (!struck) {
    // The verb has succeeded: the same checks must see its result.
    if (verb === 'revert') environment.marks = kept?.marks ?? before;
    const after = verb === 'start' ? true : verb === 'stop' ? false : verb === 'revert' ? kept?.memory : wasRunning;
    await check(one, after, environment.marks, target, kept);
    return;
  }
  const after = await follow(one, args, wasRunning, target);
  await check(one, after, before, target, kept);
  if (one.random.chance(0.3)) await revertSample(one);
  report.recovered(verb);
}
