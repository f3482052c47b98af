import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Locator, test } from '@playwright/test';
import { expectRunning, showView } from './support/environment.ts';
import { type CommandOptions, lago, lagoOk, type Outcome } from './support/lago.ts';
import { expectNoProcess, qemuOf } from './support/leaks.ts';
import { makeScratch, type Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { closeDesktops, openDesktop } from './support/window.ts';

/** Deploy scripts in two VMs that all tests share. Each test writes the scripts that it runs, and leaves both VMs running. */

test.describe.configure({ mode: 'serial' });

const BOOT = 180_000;
/** Names as `scripts/` of the prefix has them: of paths with a space, a line break and other letters. */
const [FIRST, SECOND, DB] = ['set up_first step.sh', 'set up_größe\nzwei.sh', 'set up_db.sh'] as const;
let scratch: Scratch;
let prefix: string;

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  prefix = join(scratch.workdir, 'shop');
  mkdirSync(join(scratch.dir, 'set up'));
  for (const name of [FIRST, SECOND, DB]) scratch.write(name.replace('_', '/'), 'echo to be replaced\n');
  const vm = (...scripts: string[]): object => ({
    memory: 192,
    vcpu: 1,
    nics: [{ net: 'front' }],
    disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }],
    metadata: { 'deploy-scripts': scripts.map((name) => name.replace('_', '/')) },
  });
  const file = scratch.write(
    'shop.json',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: { web: vm(FIRST, SECOND), db: vm(DB) },
    }),
  );
  await lagoOk(scratch, ['--prefix-name', 'shop', 'init', '--allow-path', join(scratch.dir, 'set up'), scratch.workdir, file]);
  await command(['start']);
});

test.afterAll(async () => {
  await closeDesktops();
  await command(['destroy', '--yes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

async function command(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return await lago(scratch, ['--prefix-path', prefix, '--ignore-warnings', ...argv], options);
}

/** Writes the scripts of the prefix. */
function write(scripts: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(scripts)) writeFileSync(join(prefix, 'scripts', name), content);
}

/** Runs `lago deploy`, and `then` once it has printed the text. */
async function deploy(argv: readonly string[], printed?: string, then?: (child: ChildProcess) => Promise<void> | void): Promise<Outcome> {
  let acting: Promise<void> | undefined;
  const outcome = await command(['deploy', ...argv], {
    onStart: (child) => {
      let seen = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (acting === undefined && printed !== undefined && seen.includes(printed)) acting = Promise.resolve(then?.(child));
      });
    },
  });
  await acting;
  if (printed !== undefined && acting === undefined) throw new Error(`It never printed “${printed}”:\n${outcome.stderr}`);
  return outcome;
}

async function inGuest(vm: string, line: string): Promise<string> {
  return (await lagoOk(scratch, ['--prefix-path', prefix, '--ignore-warnings', 'shell', vm, line])).stdout;
}

/** The states in the record, by VM. */
function states(): Record<string, string[]> {
  const { vms } = JSON.parse(readFileSync(join(prefix, 'lago-desktop-deploy.json'), 'utf8')) as {
    vms: Record<string, { state: string; code: number | null }[]>;
  };
  return Object.fromEntries(Object.entries(vms).map(([vm, scripts]) => [vm, scripts.map(({ state, code }) => `${state} ${code}`)]));
}

test('runs all scripts, shows their output live and locks nothing meanwhile', async () => {
  test.setTimeout(BOOT);
  write({
    [FIRST]:
      'echo "Grüße from $LAGO_VM_NAME at $LAGO_VM_IP, db is $LAGO_IP_db"\necho waiting\nwhile [ ! -e /tmp/go ]; do sleep 0.2; done\n',
    [SECOND]: 'echo to stderr >&2\necho "$LAGO_SCRIPT"\nprintf "\\377\\000no line end"\nrm /tmp/go\n',
    [DB]: 'hostname\n',
  });
  const outcome = await deploy([], 'web: waiting', async () => {
    const second = await command(['deploy', 'db']);
    expect(second.code).toBe(4);
    expect(second.stderr).toContain('The deploy scripts of shop are being run by deploy (pid ');
    await inGuest('web', 'touch /tmp/go');
  });
  expect(outcome.stderr).toContain('web: Grüße from web at 192.168.200.2, db is 192.168.200.3');
  expect(outcome.stderr).toContain('db: db\n');
  expect(outcome.stderr).toContain('@ Deploy environment: Success');
  expect(outcome.code).toBe(0);
  expect(states()).toEqual({ web: ['ok 0', 'ok 0'], db: ['ok 0'] });
  const log = readFileSync(join(prefix, 'logs/deploy/web/02-set_up_gr__e_zwei.sh.log'));
  expect(log).toEqual(Buffer.concat([Buffer.from(`to stderr\n${SECOND}\n`), Buffer.from([0xff, 0]), Buffer.from('no line end')]));
  expect(await inGuest('web', 'ls -A /tmp')).toBe('');
});

test('a script that fails is named with its status, the other VM finishes, and --from goes on with it', async () => {
  test.setTimeout(BOOT);
  write({
    [FIRST]: 'echo first >>/root/trace\n',
    [SECOND]: 'echo second >>/root/trace\necho what is wrong >&2\nexit 3\n',
    [DB]: 'sleep 2; echo finished\n',
  });
  const outcome = await deploy(['--loglevel', 'debug']);
  expect(outcome.code).toBe(6);
  expect(outcome.stderr).toContain('error: set up_größe\nzwei.sh failed with status 3 on web\n');
  expect(outcome.stderr).toContain('output: what is wrong');
  expect(outcome.stderr).toContain('db: finished');
  expect(states()).toEqual({ web: ['ok 0', 'failed 3'], db: ['ok 0'] });

  write({ [SECOND]: 'echo mended >>/root/trace\n' });
  const again = await deploy(['--from']);
  expect(again.code).toBe(0);
  expect(again.stderr).toContain('All deploy scripts of db have succeeded; it is left alone.');
  expect(await inGuest('web', 'cat /root/trace')).toBe('first\nsecond\nmended\n');
  expect((await deploy(['--from'])).stderr).not.toContain('Run script');
  expect((await deploy(['--from', 'zwei.sh'])).code).toBe(0);
  expect(await inGuest('web', 'cat /root/trace; rm /root/trace')).toBe('first\nsecond\nmended\nmended\n');
  const unknown = await deploy(['--from', 'web']);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toContain('hint: web is a VM. To go on where its deploy failed, use "lago deploy web --from".');
});

test('a script that takes too long, or is interrupted, is ended in the guest', async () => {
  test.setTimeout(BOOT);
  const sleeping = async (): Promise<string> => await inGuest('web', 'ps | grep "[s]leep 4711" || true');
  write({ [FIRST]: 'trap "" TERM\nsetsid sleep 4711 &\necho begun\nsleep 4711\n' });
  const late = await deploy(['web', '--timeout', '3']);
  expect(late.code).toBe(6);
  expect(late.stderr).toContain(`error: ${FIRST} timed out after 3 s on web`);
  expect(await sleeping()).toBe('');
  expect(states()['web']).toEqual(['timed-out 137', 'pending null']);

  const cancelled = await deploy(['web'], 'begun', (child) => void child.kill('SIGINT'));
  expect(cancelled.code).toBe(130);
  expect(await sleeping()).toBe('');
  expect(states()['web']?.[0]).toBe('cancelled 137');

  const killed = await deploy(['web'], 'begun', (child) => void child.kill('SIGKILL'));
  expect(killed.code).toBe(137);
  expect(await sleeping()).not.toBe('');
  write({ [FIRST]: 'echo fine\n', [SECOND]: 'echo fine too\n' });
  expect((await deploy(['--from'])).code).toBe(0);
  expect(await sleeping()).toBe('');
  expect(states()['web']).toEqual(['ok 0', 'ok 0']);
});

test('a VM that dies is named and the other goes on; one that is off is refused before anything runs', async () => {
  test.setTimeout(BOOT);
  write({ [FIRST]: 'echo begun\nsleep 1000\n', [DB]: 'while ! [ -e /tmp/go ]; do sleep 0.2; done; rm /tmp/go; echo finished\n' });
  const outcome = await deploy([], 'web: begun', async () => {
    process.kill(qemuOf(scratch, 'web'), 'SIGKILL');
    await inGuest('db', 'touch /tmp/go');
  });
  expect(outcome.code).toBe(6);
  expect(outcome.stderr).toContain(`error: ${FIRST} did not finish on web: VM web crashed.`);
  expect(outcome.stderr).toContain('db: finished');
  expect(states()).toEqual({ web: ['lost null', 'pending null'], db: ['ok 0'] });

  const off = await deploy([]);
  expect(off.code).toBe(2);
  expect(off.stderr).toContain('error: VM web is off; no deploy script was run.\nhint: Use "lago start web" first.');
  await lagoOk(scratch, ['--prefix-path', prefix, '--ignore-warnings', 'start', 'web']);
  write({ [FIRST]: 'echo fine\n', [SECOND]: 'echo fine too\n' });
  expect((await deploy(['--from'])).code).toBe(0);
});

test('in the window: run, watch, cancel, look at what failed, and go on from there', async () => {
  test.setTimeout(BOOT);
  write({
    [FIRST]: 'echo "step one"\nwhile [ ! -e /tmp/go ]; do sleep 0.2; done; rm /tmp/go\n',
    [SECOND]: 'seq 200000\nprintf "\\033[31mbroken\\033[0m\\n"\nexit 5\n',
    [DB]: 'echo only once >>/root/trace\n',
  });
  const { page, pageErrors } = await openDesktop(scratch);
  await page.getByRole('table', { name: 'Environments' }).getByText('shop', { exact: true }).click();
  await expectRunning(page, 'shop', ['web', 'db']);
  await showView(page, 'shop', 'Deploy');
  const scripts = page.getByRole('table', { name: 'Deploy scripts' });
  const row = (name: string, vm: string): Locator => scripts.getByRole('row', { name: `${name.replace('\n', ' ')} on ${vm}` });
  const output = page.getByRole('log', { name: 'Output' });

  await page.getByRole('button', { name: 'Run all scripts' }).click();
  await expect(row(FIRST, 'web')).toContainText('running');
  await expect(output).toContainText('step one');
  await expect(row(DB, 'db')).toContainText('succeeded');
  await expect(page.getByRole('main').getByRole('button', { name: 'Snapshot', exact: true })).toBeEnabled();
  await page.getByRole('button', { name: 'Cancel the deploy' }).click();
  await expect(row(FIRST, 'web')).toContainText('cancelled');
  await expect(row(SECOND, 'web')).toContainText('not run');

  await page.getByRole('button', { name: 'Go on where it failed' }).click();
  await expect(row(FIRST, 'web')).toContainText('running');
  await inGuest('web', 'touch /tmp/go');
  await expect(row(SECOND, 'web')).toContainText('failed with status 5');
  await expect(output).toContainText('broken');
  await expect(output).toContainText('Only the end is shown.');
  await expect(output).toContainText('200000');
  await picture(page, 'deploy-window');
  await showView(page, 'shop', 'Activity');
  const task = page.getByRole('main').getByTestId('task').first();
  await expect(task.filter({ hasText: 'failed with status 5 on web' })).toBeVisible();

  write({ [SECOND]: 'echo mended\n' });
  await showView(page, 'shop', 'Deploy');
  await page.getByRole('button', { name: `Run again from ${SECOND.replace('\n', ' ')} on web` }).click();
  await expect(row(SECOND, 'web')).toContainText('succeeded');
  await row(SECOND, 'web').click();
  await expect(output).toHaveText('mended');
  expect(await inGuest('db', 'cat /root/trace')).toBe('only once\n');

  // The command line's deploy shows here too.
  write({ [DB]: 'echo from the command line\nwhile [ ! -e /tmp/go ]; do sleep 0.2; done\n' });
  await row(DB, 'db').click();
  const outcome = await deploy(['db'], 'from the command line', async () => {
    await expect(page.getByRole('main')).toContainText('Another process is running them.');
    await expect(output).toHaveText('from the command line');
    await inGuest('db', 'touch /tmp/go');
  });
  expect(outcome.code).toBe(0);
  await expect(row(DB, 'db')).toContainText('succeeded');
  expect(pageErrors()).toEqual([]);
});
