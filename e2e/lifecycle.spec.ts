import { expect, type Page, test } from '@playwright/test';
import { createFromPlan, dropPlan, expectRunning, expectTask, showView, vmRow } from './support/environment.ts';
import { twoVms } from './support/init-files.ts';
import { lagoOk, type Outcome } from './support/lago.ts';
import { expectNoProcess } from './support/leaks.ts';
import { makeScratch, type Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { closeDesktops, openDesktop } from './support/window.ts';

/** Shutting down, rebooting and resetting real guests, from the window and from the command line, on one shared environment. */

test.describe.configure({ mode: 'serial' });

const VMS = ['web', 'db'];
const BOOT = 180_000;
let scratch: Scratch;
let page: Page;

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  ({ page } = await openDesktop(scratch));
  await dropPlan(page, twoVms(scratch, 'shop'), VMS);
  await createFromPlan(page, 'shop');
  await expectRunning(page, 'shop', VMS);
  await expectTask(page, 'shop', 'Create shop');
  await showView(page, 'shop', 'VMs');
});

test.afterAll(async () => {
  await closeDesktops();
  await lagoHere('destroy', '--yes');
  await expectNoProcess(scratch);
  scratch.remove();
});

async function lagoHere(...words: string[]): Promise<Outcome> {
  return await lagoOk(scratch, ['--prefix-path', `${scratch.workdir}/shop`, ...words]);
}

async function inGuest(vm: string, command: string): Promise<string> {
  return (await lagoHere('shell', vm, command)).stdout;
}

/** From now on the guest ignores its agent, ACPI and ssh. */
async function makeDeaf(vm: string): Promise<void> {
  await inGuest(vm, 'killall qemu-ga acpid; rm /sbin/poweroff /sbin/reboot; ln -s /bin/true /sbin/poweroff; ln -s /bin/true /sbin/reboot');
}

async function choose(vm: string, action: string): Promise<void> {
  await vmRow(page, vm)
    .getByRole('button', { name: `More for ${vm}` })
    .click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

async function statusOf(what: string): Promise<string> {
  const { stdout } = await lagoHere('--out-format', 'flat', 'status');
  return new RegExp(`^${what}/status: (.*)$`, 'm').exec(stdout)?.[1] ?? stdout;
}

test('guests reboot, and are reset', async () => {
  const bootId = async (vm: string): Promise<string> => await inGuest(vm, 'cat /proc/sys/kernel/random/boot_id');
  const before = [await bootId('web'), await bootId('db')];
  await choose('web', 'Reboot');
  await expect(vmRow(page, 'web')).toContainText('booting…', { timeout: BOOT });
  await lagoHere('reset', 'db');
  await expectRunning(page, 'shop', VMS);
  const after = [await bootId('web'), await bootId('db')];
  expect(after.filter((id) => before.includes(id))).toEqual([]);
});

test('a guest that ignores a shutdown is powered off by force, and the others run on', async () => {
  await makeDeaf('db');
  const { stderr } = await lagoHere('shutdown', '--force', '3', 'db');
  expect(stderr).toContain('VM db has not shut down: it is powered off.');
  expect(await statusOf('VMs/db')).toBe('down');
  expect(await statusOf('VMs/web')).toBe('running');
  expect(await statusOf('Networks/front')).toBe('up');
});

test('Stop lets guests shut down and counts down; Power off now does not wait', async () => {
  await makeDeaf('web');
  const main = page.getByRole('main');
  await main.getByRole('button', { name: 'Stop', exact: true }).click();
  const header = main.locator('header').first();
  await expect(header).toContainText('shutting down…');
  await expect(header.getByRole('timer')).toHaveText(/^power off in \d\d s$/);
  await showView(page, 'shop', 'Activity');
  await expect(page.getByTestId('task').filter({ hasText: 'Shut down shop' })).toContainText(/power off in \d\d s/);
  await picture(page, 'stopping');
  await header.getByRole('button', { name: 'Power off now' }).click();
  await expectTask(page, 'shop', 'Shut down shop');
  await showView(page, 'shop', 'VMs');
  for (const vm of VMS) await expect(vmRow(page, vm)).toContainText('down');
  await expect(header.getByRole('timer')).toBeHidden();
  expect(await statusOf('Networks/front')).toBe('down');
});

test('shutdown takes everything down, like stop', async () => {
  await page.getByRole('main').getByRole('button', { name: 'Start', exact: true }).click();
  await expectRunning(page, 'shop', VMS);
  const { stderr } = await lagoHere('shutdown');
  expect(stderr).not.toContain('powered off');
  for (const what of ['VMs/web', 'VMs/db', 'Networks/front']) expect(await statusOf(what)).toBe('down');
  for (const vm of VMS) await expect(vmRow(page, vm)).toContainText('down');
});
