import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { injectFault } from '../core/fault.ts';
import { startOperation } from '../core/operation.ts';
import { domainName } from '../prefix/prefix.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { resumeEnvironment, suspendEnvironment } from './suspend.ts';
import { createWorld, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let world: World;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-suspend-'));
  world = createWorld();
  await writePrefix(join(folder, 'demo'));
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

type Recipe = typeof startEnvironment;
const run = async (recipe: Recipe, ...vms: string[]): Promise<void> =>
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await recipe(world.context, join(folder, 'demo'), vms, step)).done;

function states(): Record<string, string> {
  return Object.fromEntries(world.model.describe().domains.map((domain) => [domain.name, domain.state]));
}
const [VM0, VM1] = [domainName(UUID, 'vm0'), domainName(UUID, 'vm1')];

it('suspends and resumes VMs, all or one, repeatedly', async () => {
  await run(startEnvironment);
  for (let round = 0; round < 2; round++) {
    await run(suspendEnvironment);
    expect(states()).toEqual({ [VM0]: 'paused', [VM1]: 'paused' });
  }
  await run(resumeEnvironment, 'vm1');
  expect(states()).toEqual({ [VM0]: 'paused', [VM1]: 'running' });
  await run(suspendEnvironment, 'vm1');
  for (let round = 0; round < 2; round++) {
    await run(resumeEnvironment);
    expect(states()).toEqual({ [VM0]: 'running', [VM1]: 'running' });
  }
});

it('ignores VMs that are off, unless they are named', async () => {
  await run(suspendEnvironment);
  await run(startEnvironment, 'vm0');
  await run(suspendEnvironment);
  expect(states()).toEqual({ [VM0]: 'paused' });
  for (const recipe of [suspendEnvironment, resumeEnvironment]) {
    await expect(run(recipe, 'vm0', 'vm1')).rejects.toMatchObject({ code: 'vm.not-running', message: 'vm1 is off.' });
    await expect(run(recipe, 'nobody')).rejects.toMatchObject({ code: 'vm.missing' });
  }
  expect(states()).toEqual({ [VM0]: 'paused' });
});

it('that fails at any step resumes what was running, and nothing else', async () => {
  await run(startEnvironment);
  await run(suspendEnvironment, 'vm0');
  const before = states();
  let at = 1;
  for (; ; at++) {
    const { struck } = await faulty(at, 'fail');
    if (!struck) break;
    expect([at, states()]).toEqual([at, before]);
  }
  expect(at).toBeGreaterThan(2);
  expect(states()).toEqual({ [VM0]: 'paused', [VM1]: 'paused' });
});

it('lets the others go on when a QEMU does not respond, and names that VM', async () => {
  await run(startEnvironment);
  const late = new EngineError('hypervisor.failed', 'libvirt did not answer in time.', { details: { timeoutMs: 40_000 } });
  world.faults.failOn('suspendDomain', 2, late);
  await expect(run(suspendEnvironment)).rejects.toMatchObject({
    message: expect.stringMatching(/^VM vm[01] does not answer: its QEMU could not be suspended in time\.$/) as string,
    hint: expect.stringContaining('lago stop vm') as string,
  });
  expect(states()).toEqual({ [VM0]: 'running', [VM1]: 'running' });
});

it('that is killed at any step leaves a state that the next verb can continue from', async () => {
  for (let at = 1; ; at++) {
    await run(startEnvironment);
    const { struck } = await faulty(at, 'die');
    await run(resumeEnvironment);
    expect([at, states()]).toEqual([at, { [VM0]: 'running', [VM1]: 'running' }]);
    await run(stopEnvironment);
    if (!struck) break;
  }
});

/** Suspends everything with a fault at the given point. */
async function faulty(at: number, how: 'fail' | 'die'): Promise<{ readonly struck: boolean }> {
  const fault = injectFault({ at, how });
  const failed = await run(suspendEnvironment).then(
    () => false,
    () => true,
  );
  const { struck } = fault;
  injectFault(undefined);
  expect(failed).toBe(struck);
  return { struck };
}

it('tells guests that it resumes the time, and does without an agent', async () => {
  await run(startEnvironment);
  await run(suspendEnvironment, 'vm0');
  const told = (): readonly string[] => world.faults.calls.filter(({ method }) => method === 'agentCommand').map(({ subject }) => subject);
  await run(resumeEnvironment);
  expect(told()).toEqual([VM0]);
  world.agent = false;
  await run(suspendEnvironment);
  await run(resumeEnvironment);
  expect(told()).toHaveLength(3);
  expect(states()).toEqual({ [VM0]: 'running', [VM1]: 'running' });
});
