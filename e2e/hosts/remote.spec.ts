import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { expectAccessible } from '../support/axe.ts';
import { dropPlan, expectRunning, vmRow } from '../support/environment.ts';
import { type FarMachine, startFarMachine } from '../support/hosts/far-machine.ts';
import { oneVm, twoVms } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { coloursOf } from '../support/screen.ts';
import { picture } from '../support/screenshots.ts';
import { expectTerminal, openTerminal, runInTerminal } from '../support/terminal.ts';
import { closeDesktops, openDesktop } from '../support/window.ts';

/** Environments whose VMs run on another machine, which only ssh leads to. */

let scratch: Scratch;
let far: FarMachine | undefined;
test.beforeEach(() => {
  scratch = makeScratch();
});
test.afterEach(async () => {
  await closeDesktops();
  await far?.stop();
  far = undefined;
  scratch.remove();
});

/** Processes there, without the machine's own. */
function farProcesses(machine: FarMachine): string[] {
  const lines = machine.run('ps -e -o args').split('\n').slice(1);
  return lines.filter((line) => line !== '' && !/sshd|^ps |far-machine\.sh|^sleep 1$/.test(line));
}

test('an environment on another machine: start, shell, snapshot, revert, lost connection, stop, destroy', async () => {
  test.setTimeout(400_000);
  far = await startFarMachine(scratch);
  const machine = far;
  const there = (...words: readonly string[]): Promise<{ readonly stdout: string }> => lagoOk(scratch, words);
  const here = { env: { LAGO_HOST: machine.uri } };
  const script = scratch.write('deploy.sh', 'echo "for $LAGO_VM_NAME" >/root/deployed\n');
  const more = { metadata: { 'deploy-scripts': [script] }, artifacts: ['/root/deployed'] };
  await lagoOk(scratch, ['init', twoVms(scratch, 'pair', more)], here);
  await there('start');
  // It all runs there, and nothing but the connection here.
  expect(farProcesses(machine).filter((line) => line.includes('qemu-system'))).toHaveLength(2);
  expect((await there('shell', 'web', '-c', 'hostname; echo first >/root/mark; sync')).stdout).toBe('web\n');
  expect((await there('status', '--why')).stdout).toContain('web: up');

  // What goes through ssh, the relay and the serial console of the guests.
  await there('deploy');
  await there('collect', '--output', join(scratch.dir, 'collected'));
  expect(readFileSync(join(scratch.dir, 'collected/db/_root_deployed'), 'utf8')).toBe('for db\n');
  await there('copy-to-vm', 'web', script, '/root/copied');
  await there('copy-from-vm', 'web', '/root/copied', join(scratch.dir, 'back'));
  expect(readFileSync(join(scratch.dir, 'back'))).toEqual(readFileSync(script));
  const greeting = await lagoOk(scratch, ['forward', 'web', '22', '-'], { input: 'SSH-2.0-test\r\n' });
  expect(greeting.stdout).toContain('SSH-2.0-');
  expect((await lagoOk(scratch, ['console', 'db'], { input: '\n' })).stdout).toContain('login:');
  await there('vm', 'link', 'web', 'eth0', 'up');

  await there('snapshot', 'base');
  await there('shell', 'web', '-c', 'echo second >/root/mark; sync');
  await there('revert', 'base');
  expect((await there('shell', 'web', '-c', 'cat /root/mark')).stdout).toBe('first\n');

  // VMs outlive the connection, and the next command connects again.
  machine.cut();
  expect((await there('shell', 'db', '-c', 'hostname')).stdout).toBe('db\n');

  const exported = await lago(scratch, ['export', '--dst-dir', join(scratch.dir, 'out')]);
  expect(exported.code).not.toBe(0);
  expect(exported.stderr).toContain('the disks of default are on another machine');

  await there('stop');
  expect(farProcesses(machine)).toEqual([]);
  // The disks are there, and kept.
  await there('start', 'web');
  expect((await there('shell', 'web', '-c', 'cat /root/mark')).stdout).toBe('first\n');

  // The image that they are based on is sent once.
  const images = 'cd /root/.local/share/lago/remote/images && stat -c "%n %Y %i" */*';
  const before = machine.run(images);
  await lagoOk(scratch, ['--prefix-name', 'second', 'init', oneVm(scratch, 'single')], here);
  expect(machine.run(images)).toBe(before);

  await there('destroy', '--yes', '--all-prefixes');
  expect(farProcesses(machine)).toEqual([]);
  expect(machine.run('ls /root/.local/share/lago/remote /run/lago-remote').split('\n').filter(Boolean)).toEqual([
    '/root/.local/share/lago/remote:',
    'images',
    '/run/lago-remote:',
  ]);
  expect(readdirSync(join(scratch.dir, 'run', 'lago'), { recursive: true })).toEqual([]);
});

test('what the other machine lacks is named before anything is made, and one that is gone is said to be', async () => {
  far = await startFarMachine(scratch, ['/usr/sbin/dnsmasq', '/usr/bin/qemu-img']);
  const file = oneVm(scratch, 'single');
  const lacking = await lago(scratch, ['--host', far.uri, 'init', file]);
  expect(lacking.code).toBe(3);
  expect(lacking.stderr).toContain('The machine far lacks what environments need: qemu-img, dnsmasq.');
  expect(lacking.stderr).toContain('sudo apt install qemu-utils dnsmasq-base');
  await far.stop();
  const gone = await lago(scratch, ['--host', far.uri, 'init', file]);
  expect(gone.code).toBe(3);
  expect(gone.stderr).toContain('No connection to far by ssh');
  const outside = await lago(scratch, ['--host', 'ssh://192.0.2.1', 'init', file]);
  expect(outside.code).toBe(3);
  expect(outside.stderr).toContain('confined run');
});

test('the window creates and shows VMs of another machine', async () => {
  far = await startFarMachine(scratch);
  const { page } = await openDesktop(scratch);
  await dropPlan(page, oneVm(scratch, 'single'), ['web']);
  await page.getByText('Remote', { exact: true }).click();
  await expect(page.getByRole('button', { name: 'Create only' })).toBeDisabled();
  await page.getByRole('textbox', { name: 'Machine' }).fill('far');
  await expect(page.getByText('Name the machine: ssh://user@machine').first()).toBeVisible();
  await page.getByRole('textbox', { name: 'Machine' }).fill(far.uri);
  await picture(page, 'remote-plan');
  await page.getByRole('button', { name: 'Create and start' }).click();
  await expectRunning(page, 'single', ['web']);
  await expect(page.getByLabel('Status')).toContainText('Host on far');
  const shell = await openTerminal(page, 'web', 'Terminal');
  expect(await runInTerminal(shell, 'hostname')).toBe('web');
  const serial = await openTerminal(page, 'web', 'Serial console');
  await expectTerminal(serial, /login:/);
  await vmRow(page, 'web').getByRole('button', { name: 'Screen of web' }).click();
  const canvas = page.getByRole('tabpanel', { name: 'Terminals' }).locator('canvas:visible').first();
  await expect.poll(async () => await coloursOf(canvas), { timeout: 60_000 }).toBeGreaterThan(1);
  await picture(page, 'remote-environment');
  await lagoOk(scratch, ['--prefix-path', join(scratch.workdir, 'single'), 'destroy', '--yes']);
  expect(far.run('ls /root/.local/share/lago/remote')).toBe('images\n');
});

test('an environment on a machine that is gone for good is removed here, from the window', async () => {
  far = await startFarMachine(scratch);
  await lagoOk(scratch, ['--prefix-name', 'single', '--host', far.uri, 'init', oneVm(scratch, 'single')]);
  await far.stop();
  const { page } = await openDesktop(scratch);
  await page.getByRole('table', { name: 'Environments' }).getByRole('row', { name: 'single', exact: true }).click();
  await page.getByRole('button', { name: 'More for single', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Destroy…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Destroy single?' });
  await dialog.getByRole('textbox').fill('single');
  await dialog.getByRole('checkbox', { name: /gone for good/ }).check();
  await expectAccessible(page, 'destroying what is on a machine that is gone');
  await picture(page, 'destroy-forget');
  await dialog.getByRole('button', { name: 'Destroy single' }).click();
  await expect.poll(() => existsSync(join(scratch.workdir, 'single')), { timeout: 60_000 }).toBe(false);
  await expect(page.getByRole('heading', { name: 'single', level: 1 })).toBeHidden();
});
