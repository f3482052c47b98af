import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ScriptRun } from '../../../../src-shared/deploy.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { DeployInput } from '../../../../src-shared/verbs.ts';
import { injectFault } from '../../core/fault.ts';
import { takeLock } from '../../core/lock.ts';
import { type Operation, startOperation } from '../../core/operation.ts';
import { type FakeGuest, loopbackDial, startFakeGuest } from '../../guest/guest.fake.ts';
import { makePrefixKey } from '../../guest/keys.ts';
import { runLocally } from '../../guest/local-shell.test-support.ts';
import { deployStates, readDeployRecord } from '../../prefix/deploy-record.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { readPrefix, writeSpecs } from '../../prefix/prefix.ts';
import { listCollections } from '../collect/collections.ts';
import { destroyEnvironment } from '../destroy.ts';
import { startEnvironment, stopEnvironment } from '../lifecycle.ts';
import { suspendEnvironment } from '../suspend.ts';
import { createWorld, type World, writePrefix } from '../world.test-support.ts';
import { deployEnvironment } from './deploy.ts';

let folder: string;
let root: string;
let world: World;
let guest: FakeGuest;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-deploy-'));
  root = join(folder, 'demo');
  guest = await startFakeGuest({ run: runLocally });
  const dial = loopbackDial();
  world = createWorld();
  world.dial = async (_address, _port, options) => await dial('127.0.0.1', guest.port, options);
  await writePrefix(root);
  await makePrefixKey(root, 'test');
  await settled(startOperation({ kind: 'start', label: 'test' }, async (step) => await startEnvironment(world.context, root, [], step)));
});
afterEach(async () => {
  injectFault(undefined);
  await guest[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Gives each VM its scripts, as name → content in their order. The scripts write into `folder`, which stands for the inside of a guest. */
async function scripts(byVm: Readonly<Record<string, Readonly<Record<string, string>>>>): Promise<void> {
  const paths = prefixPaths(root);
  const { specs } = await readPrefix(root);
  for (const [name, content] of Object.values(byVm).flatMap((own) => Object.entries(own))) {
    await writeFile(join(paths.scripts, name), content);
  }
  const list = (vm: string): string[] => Object.keys(byVm[vm] ?? {}).map((name) => `$LAGO_PREFIX_PATH/scripts/${name}`);
  await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => ({ ...vm, metadata: { 'deploy-scripts': list(vm.name) } })) });
}

function begin(input: DeployInput = {}): Operation<void> {
  return startOperation({ kind: 'deploy', label: 'test' }, async (step) => await deployEnvironment(world.context, root, input, step));
}

async function settled(operation: Operation<void>): Promise<void> {
  await operation.done;
}

async function failure(operation: Operation<void>): Promise<EngineError> {
  const error: unknown = await operation.done.catch((reason: unknown) => reason);
  if (error instanceof EngineError) return error;
  throw new Error(`It did not fail with an EngineError: ${String(error)}`);
}

async function states(vm: string): Promise<readonly ScriptRun[]> {
  const { specs, paths } = await readPrefix(root);
  return (await deployStates(paths, specs.vms)).find((one) => one.vm === vm)?.scripts ?? [];
}

const words = async (vm: string): Promise<string> => (await states(vm)).map(({ state, code }) => `${state} ${code}`).join(', ');
const traces = (): string => (existsSync(join(folder, 'trace')) ? readFileSync(join(folder, 'trace'), 'utf8') : '');
/** A script that leaves its mark, then does this. */
const trace = (mark: string, then = ''): string => `echo ${mark} >>${folder}/trace\necho output of ${mark}\n${then}`;

/** Resolves when an operation has logged the line. */
async function logged(operation: Operation<void>, text: string): Promise<void> {
  if (operation.log().some((line) => line.includes(text))) return;
  await new Promise<void>((resolve) => {
    const forget = operation.onLine((line) => {
      if (!line.includes(text)) return;
      forget();
      resolve();
    });
  });
}

it('runs the scripts of each VM in their order, with live output, logs and record', async () => {
  await scripts({ vm0: { 'b.sh': trace('b'), 'a.sh': trace('a', 'echo "$LAGO_VM_NAME $LAGO_VM_IP $LAGO_IP_vm1 $LAGO_SCRIPT"') } });
  const operation = begin();
  await settled(operation);
  expect(traces()).toBe('b\na\n');
  expect(operation.log()).toEqual(['output of b', 'output of a', 'vm0 192.168.200.2 192.168.200.3 a.sh']);
  expect(await words('vm0')).toBe('ok 0, ok 0');
  expect(await states('vm1')).toEqual([]);
  const [first, second] = await states('vm0');
  expect(first?.endedAt).toBeGreaterThanOrEqual(first?.startedAt ?? Number.NaN);
  expect(second?.startedAt).toBeGreaterThanOrEqual(first?.endedAt ?? Number.NaN);
  const { deployLogs } = prefixPaths(root);
  expect(readFileSync(join(deployLogs, 'vm0/02-a.sh.log'), 'utf8')).toBe('output of a\nvm0 192.168.200.2 192.168.200.3 a.sh\n');
  expect(existsSync(prefixPaths(root).lock) ? readFileSync(prefixPaths(root).lock, 'utf8') : '').toBe('');
});

it('a failing script ends its VM; the other finishes, and the first failure is the error', async () => {
  await scripts({
    vm0: { 'fine.sh': trace('fine'), 'bad.sh': trace('bad', 'echo last words >&2\nexit 3'), 'never.sh': trace('never') },
    vm1: {
      'slow.sh': trace('slow', `while ! grep -q bad ${folder}/trace; do sleep 0.05; done; sleep 1`),
      'also.sh': trace('also', 'exit 9'),
    },
  });
  const operation = begin();
  const error = await failure(operation);
  expect(error).toMatchObject({ code: 'guest.failed', message: 'bad.sh failed with status 3 on vm0' });
  expect(error.details).toMatchObject({ vm: 'vm0', script: 'bad.sh', status: 3, output: 'output of bad\nlast words' });
  expect(error.hint).toContain('lago deploy --from');
  expect(await words('vm0')).toBe('ok 0, failed 3, pending null');
  expect(await words('vm1')).toBe('ok 0, failed 9');
  expect(operation.log()).toContain('vm0: last words');
  expect(operation.log()).toContain('also.sh failed with status 9 on vm1');
  expect(traces()).not.toContain('never');
});

it('goes on from the script that failed, and leaves finished VMs alone', async () => {
  await scripts({
    vm0: { 'one.sh': trace('one'), 'two.sh': trace('two', `test -e ${folder}/mended`), 'three.sh': trace('three') },
    vm1: { 'other.sh': trace('other') },
  });
  await failure(begin());
  await rm(join(folder, 'trace'));
  await writeFile(join(folder, 'mended'), '');
  const again = begin({ from: true });
  await settled(again);
  expect(traces()).toBe('two\nthree\n');
  expect(again.log()).toContain('All deploy scripts of vm1 have succeeded; it is left alone.');
  expect(await words('vm0')).toBe('ok 0, ok 0, ok 0');
  await rm(join(folder, 'trace'));
  await settled(begin({ from: true }));
  expect(traces()).toBe('');
  await settled(begin({ from: 'two.sh' }));
  expect(traces()).toBe('two\nthree\n');
  await settled(begin({ from: '3', vms: ['vm0'] }));
  expect(traces()).toBe('two\nthree\nthree\n');
});

it('a script that takes too long is ended, and named with the limit', async () => {
  await scripts({ vm0: { 'long.sh': trace('long', 'sleep 1000; echo never') } });
  const error = await failure(begin({ timeout: 0.5 }));
  expect(error).toMatchObject({ code: 'guest.failed', message: 'long.sh timed out after 0.5 s on vm0' });
  expect(await words('vm0')).toBe('timed-out 143');
});

it('cancelling ends the scripts, and they can be run again', async () => {
  await scripts({ vm0: { 'long.sh': trace('long', `test -e ${folder}/mended || sleep 1000`), 'next.sh': trace('next') } });
  const operation = begin();
  await logged(operation, 'output of long');
  operation.cancel();
  expect((await failure(operation)).code).toBe('cancelled');
  expect(operation.state.status).toBe('cancelled');
  expect(await words('vm0')).toBe('cancelled 143, pending null');
  await writeFile(join(folder, 'mended'), '');
  await settled(begin({ from: true }));
  expect(await words('vm0')).toBe('ok 0, ok 0');
});

it('a VM that is lost meanwhile is named; the other goes on', async () => {
  await scripts({
    vm0: { 'long.sh': trace('long', 'sleep 1000') },
    vm1: { 'wait.sh': trace('wait', `while [ ! -e ${folder}/lost ]; do sleep 0.05; done`), 'more.sh': trace('more') },
  });
  const operation = begin();
  await logged(operation, 'output of long');
  await settled(startOperation({ kind: 'stop', label: 'test' }, async (step) => await stopEnvironment(world.context, root, ['vm0'], step)));
  await writeFile(join(folder, 'lost'), '');
  expect(await failure(operation)).toMatchObject({
    code: 'guest.unreachable',
    message: expect.stringMatching(/^long\.sh did not finish on vm0: VM vm0 was/) as string,
  });
  expect(await words('vm0')).toBe('lost null');
  expect(await words('vm1')).toBe('ok 0, ok 0');
  endLeftBehind(await runOf('vm0'));
});

it('destroying the environment meanwhile ends it, and nothing of the folder comes back', async () => {
  await scripts({ vm0: { 'long.sh': trace('long', 'sleep 1000') } });
  const operation = begin();
  await logged(operation, 'output of long');
  const run = await runOf('vm0');
  await settled(startOperation({ kind: 'destroy', label: 'test' }, async (step) => await destroyEnvironment(world.context, root, step)));
  expect((await failure(operation)).message).toContain('long.sh did not finish on vm0');
  expect(existsSync(root)).toBe(false);
  endLeftBehind(run);
});

it('refuses before anything runs: VMs that are off or suspended, unknown VMs, scripts and limits', async () => {
  await scripts({ vm0: { 'a.sh': trace('a') }, vm1: { 'b.sh': trace('b') } });
  const stop = async (...vms: string[]): Promise<void> =>
    await settled(startOperation({ kind: 'stop', label: 'test' }, async (step) => await stopEnvironment(world.context, root, vms, step)));
  await settled(
    startOperation({ kind: 'suspend', label: 'test' }, async (step) => await suspendEnvironment(world.context, root, ['vm0'], step)),
  );
  expect(await failure(begin())).toMatchObject({ code: 'vm.not-running', hint: 'Use "lago resume vm0" first.' });
  await stop('vm1');
  expect(await failure(begin())).toMatchObject({
    message: 'VM vm1 is off; no deploy script was run.',
    hint: 'Use "lago start vm1" first.',
  });
  await stop();
  expect((await failure(begin())).message).toBe('VMs vm0, vm1 are off; no deploy script was run.');
  expect((await failure(begin({ vms: ['vm7'] }))).code).toBe('vm.missing');
  expect(await failure(begin({ from: 'c.sh' }))).toMatchObject({ code: 'input.usage', hint: 'There are: a.sh, b.sh.' });
  expect((await failure(begin({ from: 'vm1' }))).hint).toContain('lago deploy vm1 --from');
  expect((await failure(begin({ from: '.sh', timeout: 0 }))).message).toContain('more than 0 seconds');
  expect(traces()).toBe('');
});

it('only one deploy at a time', async () => {
  await scripts({ vm0: { 'a.sh': trace('a') } });
  await using _other = await takeLock(prefixPaths(root).deployLock, { purpose: 'deploy' });
  const error = await failure(begin());
  expect(error.code).toBe('conflict.locked');
  expect(error.message).toMatch(/^The deploy scripts of demo are being run by deploy \(pid \d+, since \d+ s\)\.$/);
});

it('after a kill the script counts as interrupted, and the next deploy ends what is left of it first', async () => {
  await scripts({ vm0: { 'a.sh': trace('a', `[ -e ${folder}/mended ] || sleep 1000`), 'b.sh': trace('b') } });
  const operation = begin();
  await logged(operation, 'output of a');
  const { paths } = await readPrefix(root);
  const killed = readFileSync(paths.deploy, 'utf8');
  const run = await runOf('vm0');
  // What a SIGKILL leaves: the record as it was, a guest whose script goes on, and no lock.
  guest.connections.forEach((connection) => connection.end());
  await failure(operation);
  await writeFile(paths.deploy, killed);
  expect(await words('vm0')).toBe('interrupted null, pending null');
  expect(processesOf(run)).toBeGreaterThan(0);
  await writeFile(join(folder, 'mended'), '');
  await settled(begin({ from: true }));
  expect(processesOf(run)).toBe(0);
  expect(traces()).toBe('a\na\nb\n');
});

it.each([1, 2, 3, 4, 5, 6])('after a death at point %i the next deploy runs everything that is left', async (at) => {
  await scripts({ vm0: { 'a.sh': trace('a'), 'b.sh': trace('b') } });
  const fault = injectFault({ at, how: 'die' });
  await begin().done.catch(() => undefined);
  const { struck } = fault;
  injectFault(undefined);
  expect(struck).toBe(at <= 5);
  await settled(begin({ from: true }));
  expect(await words('vm0')).toBe('ok 0, ok 0');
  expect(traces()).toBe('a\nb\n');
});

it('a damaged record counts as none', async () => {
  await scripts({ vm0: { 'a.sh': trace('a') } });
  await writeFile(prefixPaths(root).deploy, '{"version": 1, "vms": {"vm0": 5}}');
  expect(await words('vm0')).toBe('pending null');
  await settled(begin({ from: true }));
  expect(await words('vm0')).toBe('ok 0');
});

it('scripts of other places are not read, and ovirt-scripts are run with a warning', async () => {
  await scripts({ vm0: { 'a.sh': trace('a') } });
  const paths = prefixPaths(root);
  const { specs } = await readPrefix(root);
  const save = async (metadata: Record<string, unknown>): Promise<void> =>
    await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => (vm.name === 'vm0' ? { ...vm, metadata } : vm)) });
  await save({ 'deploy-scripts': ['$LAGO_PREFIX_PATH/scripts/../../../etc/passwd'] });
  expect((await failure(begin())).code).toBe('input.invalid');
  expect(await states('vm0')).toEqual([]);
  await save({ 'deploy-scripts': [], 'ovirt-scripts': ['$LAGO_PREFIX_PATH/scripts/a.sh'] });
  const operation = begin();
  await settled(operation);
  expect(traces()).toBe('a\n');
  expect(operation.log()[0]).toContain('Deprecated entry "ovirt-scripts"');
  await rm(join(paths.scripts, 'a.sh'));
  expect((await failure(begin())).code).toBe('input.missing-file');
});

/** The last run of a VM's first script. */
async function runOf(vm: string): Promise<string> {
  return (await readDeployRecord(prefixPaths(root))).vms[vm]?.[0]?.run ?? '';
}

/** How many processes of this machine, which stands for the guest, belong to a run. */
function processesOf(run: string): number {
  const { stdout } = spawnSync('sh', ['-c', 'grep -lsF -- "$1" /proc/[0-9]*/environ', 'sh', `LAGO_RUN=${run}`], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line !== '').length;
}

/** A real VM takes its processes with it. */
function endLeftBehind(run: string): void {
  const command = 'for f in $(grep -lsF -- "$1" /proc/[0-9]*/environ); do p=${f#/proc/}; kill "${p%/environ}"; done';
  spawnSync('sh', ['-c', command, 'sh', `LAGO_RUN=${run}`]);
}

it('collects the artifacts of the VMs concerned when a script fails, and stays the same failure', async () => {
  await scripts({ vm0: { 'breaks.sh': `echo evidence > '${folder}/evidence'; exit 3\n` } });
  const paths = prefixPaths(root);
  const { specs } = await readPrefix(root);
  await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => ({ ...vm, artifacts: [`${folder}/evidence`] })) });
  expect((await failure(begin())).message).toContain('breaks.sh failed with status 3 on vm0');
  const [collection, ...others] = await listCollections(root);
  expect(others).toEqual([]);
  expect(collection).toMatchObject({ why: 'deploy failed', finished: true, vms: [{ name: 'vm0', by: 'ssh' }] });
  const kept = join(collection?.folder ?? '', 'vm0', collection?.vms[0]?.artifacts[0]?.name ?? '');
  expect(readFileSync(kept, 'utf8')).toBe('evidence\n');
});
