import { spawn } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { oneVm, twoVms } from './support/init-files.ts';
import { expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import { root, type Scratch } from './support/scratch.ts';

let scratch: Scratch;
/** A separate project elsewhere that uses the package through `npm link`. */
let project: string;
useScratch((made) => {
  scratch = made;
});
test.beforeEach(() => {
  project = join(scratch.dir, 'project');
  mkdirSync(join(project, 'node_modules'), { recursive: true });
  symlinkSync(root, join(project, 'node_modules/lago-desktop'));
});

/** Runs a program in the project to its end. */
async function run(argv: readonly string[]): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  return await new Promise((resolve, reject) => {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { cwd: project, env: scratch.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

async function runScript(name: string, ...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const outcome = await run([process.execPath, name, ...args]);
  if (outcome.code !== 0) throw new Error(`${name} ended with ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`);
  return outcome;
}

test('the documented script runs from another folder on plain Node, on real VMs', async () => {
  copyFileSync(join(root, 'examples/sdk/two-vms.mjs'), join(project, 'two-vms.mjs'));
  const { stdout, stderr } = await runScript('two-vms.mjs', twoVms(scratch, 'pair'));
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^web is running at 192\.168\.200\.\d+$/),
    'web reaches db: true',
    'after the revert the mark is gone',
    '',
  ]);
  expect(stderr).toContain('info: Start Prefix / Start vms / Starting VM web');
  expect(existsSync(join(project, '.lago'))).toBe(false);
  await expectNothingLeft(scratch, ownedNamespaces(scratch));
});

test("an environment is found again, its VMs answer one by one, and the guest's service manager is used", async () => {
  const file = twoVms(scratch, 'pair');
  scratch.write(
    'project/work.mjs',
    `import { EngineError, openEngine } from 'lago-desktop';
const told = {};
const lago = await openEngine({ settings: { uplink: 'none' } });
const made = await lago.init(${JSON.stringify(file)}, { name: 'work' });
await lago.init(${JSON.stringify(file)}, { name: 'work' }).catch((error) => { told.again = [error instanceof EngineError, error.code]; });
const env = await lago.loadEnv('.lago', { name: 'work' });
told.same = env.path === made.path;
await lago.loadEnv('.lago', { name: 'other' }).catch((error) => { told.other = error.code; });
await env.vm('wbe').catch((error) => { told.typo = [error.code, error.hint]; });
const web = await env.vm('web');
told.off = await web.state();
await web.ssh('true').catch((error) => { told.early = error.code; });
await web.start();
told.states = Object.fromEntries(await Promise.all(Object.values(await env.vms()).map(async (vm) => [vm.name, await vm.state()])));
await env.suspend();
told.suspended = await web.state();
await web.resume();
told.resumed = await web.state();
told.nets = Object.fromEntries(Object.entries(await env.nets()).map(([name, net]) => [name, net.status]));
told.code = await web.ssh('echo out; echo err >&2; exit 7');
told.input = (await web.ssh('cat', { input: 'through stdin' })).stdout;
const service = await web.service('late');
await service.state().catch((error) => { told.none = error.message; });
// The sample guest has no service manager: give it what SysV guests have.
await web.ssh('cat > /sbin/service && chmod +x /sbin/service', { input: \`#!/bin/sh
[ "$1" = late ] || { echo "$1: unrecognized service" >&2; exit 1; }
case $2 in
  status) [ -e /run/late ] && exit 0; echo "late is stopped"; exit 3;;
  start) touch /run/late;;
  stop) rm /run/late;;
esac
\` });
told.provider = await service.provider();
told.service = [await service.state()];
await service.start();
told.service.push(await service.state());
await service.stop();
told.service.push(await service.state(), await (await web.service('nowhere')).state());
await (await web.service('nowhere')).start().catch((error) => { told.missing = error.message; });
const stop = new AbortController();
const waiting = web.ssh('sleep 1000', { signal: stop.signal }).catch((error) => { told.cancelled = error.code; });
setTimeout(() => stop.abort(), 1000);
await waiting;
await env.destroy();
await lago.close();
console.log(JSON.stringify(told));
`,
  );
  const { stdout } = await runScript('work.mjs');
  expect(JSON.parse(stdout)).toEqual({
    again: [true, 'prefix.exists'],
    same: true,
    other: 'prefix.missing',
    typo: ['vm.missing', 'It has: web, db.'],
    off: 'down',
    early: 'vm.not-running',
    states: { web: 'running', db: 'down' },
    suspended: 'paused',
    resumed: 'running',
    nets: { front: 'up' },
    code: { code: 7, stdout: 'out\n', stderr: 'err\n' },
    input: 'through stdin',
    none: 'No service provider detected for web.',
    provider: 'sysvinit',
    service: ['inactive', 'active', 'inactive', 'missing'],
    missing: 'Service nowhere not present in web.',
    cancelled: 'cancelled',
  });
  await expectNothingLeft(scratch, ownedNamespaces(scratch));
});

test('snapshots are looked at, forked and carried on', async () => {
  const file = oneVm(scratch, 'one');
  scratch.write(
    'project/fork.mjs',
    `import { openEngine } from 'lago-desktop';
const told = {};
const lago = await openEngine({ settings: { uplink: 'none' } });
const env = await lago.init(${JSON.stringify(file)}, { name: 'first' });
await env.start();
const run = async (one, command) => (await (await one.vm('web')).ssh(command)).stdout.trim();
await run(env, 'mount -t tmpfs none /tmp; echo here >/tmp/memory; echo then >/root/file; sync');
await env.snapshot('base');
await run(env, 'echo now >/root/file; sync');
const since = { from: 'base' };
const { files } = await env.changes('web', since);
told.changed = files.map(({ path }) => path).filter((path) => path === '/root/file');
told.text = JSON.stringify(await env.changedText('web', '/root/file', since)).includes('now');
told.lost = (await env.revertPlan('base')).vms;
told.goes = (await env.removalPlan({ unpinned: true })).snapshots;
const { folder } = await env.exportSnapshot('base', ${JSON.stringify(join(scratch.dir, 'out'))});
const fork = await env.fork('second', { snapshot: 'base' });
told.fork = [fork.name, await run(fork, 'cat /tmp/memory /root/file')];
await fork.destroy();
await env.revert('base', { keep: 'before' });
told.kept = (await env.status()).snapshots.map(({ name }) => name);
await env.destroy();
const there = await lago.resume(folder, { name: 'third' });
told.there = [there.name, await run(there, 'cat /tmp/memory /root/file')];
await there.destroy();
await lago.close();
console.log(JSON.stringify(told));
`,
  );
  const { stdout } = await runScript('fork.mjs');
  expect(JSON.parse(stdout)).toEqual({
    changed: ['/root/file'],
    text: true,
    lost: [{ vm: 'web', now: 'running', to: 'memory' }],
    goes: ['base'],
    fork: ['second', 'here\nthen'],
    kept: ['base', 'before'],
    there: ['third', 'here\nthen'],
  });
  await expectNothingLeft(scratch, ownedNamespaces(scratch));
});

test('its types hold for a TypeScript project, and for the plugins and scripts of the examples', async () => {
  for (const folder of ['plugins', 'sdk']) cpSync(join(root, 'examples', folder), join(project, folder), { recursive: true });
  symlinkSync(join(root, 'node_modules/@types'), join(project, 'node_modules/@types'));
  scratch.write('project/package.json', '{"type": "module"}');
  scratch.write(
    'project/use.ts',
    `import { definePlugin, type Environment, openEngine } from 'lago-desktop';
export async function code(): Promise<number> {
  await using lago = await openEngine({ log: (level, message) => console.log(level.length, message.length) });
  const env: Environment = await lago.init('LagoInitFile', { workdir: 'work' });
  const states: string[] = await Promise.all(Object.values(await env.vms()).map((vm) => vm.state()));
  // @ts-expect-error: there is no such option
  await env.start([], { nonsense: true });
  await env.suspend(['a']);
  await env.deleteSnapshot('one');
  await env.revert('one', { keep: 'before' });
  const forks: readonly Environment[] = [await env.fork('f', { snapshot: 'one' }), ...(await env.forkMany('many', 2))];
  const { files } = await env.changes('a', { from: 'one' });
  const plan: readonly string[] = (await env.removalPlan({ unpinned: true })).snapshots;
  const there: Environment = await lago.resume((await env.exportSnapshot('one', '/tmp/one')).folder, { name: 'there' });
  // @ts-expect-error: a plan is of one kind
  await env.removalPlan({ all: true });
  // @ts-expect-error: a snapshot has a name
  await env.snapshot();
  const all = [files.length, plan.length, forks.length, there.name.length];
  return (await (await env.vm('a')).ssh('true')).code + states.length + Math.max(...all);
}
export default definePlugin({ apiVersion: 1, kind: 'output', name: 'x', format: (value) => JSON.stringify(value) });
// @ts-expect-error: a format answers a text
definePlugin({ apiVersion: 1, kind: 'output', name: 'x', format: () => 1 });
`,
  );
  scratch.write(
    'project/tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'ES2023',
        lib: ['ES2023', 'ESNext.Disposable'],
        module: 'NodeNext',
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        allowJs: true,
        checkJs: true,
        types: ['node'],
      },
      include: ['use.ts', 'plugins/*.mjs', 'sdk/*.mjs'],
      exclude: ['**/*.test.mjs'],
    }),
  );
  const checked = await run([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']);
  expect(checked.stdout).toBe('');
  expect(checked.code).toBe(0);
});
