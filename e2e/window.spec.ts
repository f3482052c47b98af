import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { expectAccessible } from './support/axe.ts';
import {
  createFromPlan,
  destroyEnvironment,
  dropPlan,
  expectRunning,
  expectTask,
  showEnvironment,
  showView,
  stopEnvironment,
  vmRow,
} from './support/environment.ts';
import { twoVms } from './support/init-files.ts';
import { expectNoProcess, expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import { doInMain } from './support/main-process.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';
import { coloursOf } from './support/screen.ts';
import { picture } from './support/screenshots.ts';
import { expectTerminal, openTerminal, runInTerminal, terminalText, typeLine } from './support/terminal.ts';
import { openDesktop } from './support/window.ts';

const VMS = ['web', 'db'];
let scratch: Scratch;

useScratch((made) => {
  scratch = made;
});

async function takeSnapshot(page: Page, environment: string, name: string): Promise<void> {
  await showView(page, environment, 'Snapshots');
  await page.getByRole('textbox', { name: 'Snapshot name' }).fill(name);
  await page.getByRole('button', { name: 'Take snapshot' }).click();
  await expect(page.getByRole('option', { name: new RegExp(`^${name},`) }).getByText(name, { exact: true })).toBeVisible({
    timeout: 60_000,
  });
}

test('from a dropped init file to nothing left', async () => {
  const { page, pageErrors, close } = await openDesktop(scratch);
  await dropPlan(page, twoVms(scratch, 'shop'), VMS);
  await picture(page, 'plan');
  expect(existsSync(scratch.workdir) && existsSync(join(scratch.workdir, 'shop'))).toBe(false);

  await createFromPlan(page, 'shop');
  const task = page.getByTestId('task').filter({ hasText: 'Create shop' });
  await expect(task.getByRole('progressbar').first()).toBeVisible();
  await expect(task.getByRole('list', { name: 'Steps' }).getByRole('listitem').first()).toBeVisible();
  await expectRunning(page, 'shop', VMS);
  await expectTask(page, 'shop', 'Create shop');
  await showView(page, 'shop', 'VMs');
  await picture(page, 'environment');
  await expectAccessible(page, 'a real environment');
  const namespaces = ownedNamespaces(scratch);
  expect(namespaces.size).toBeGreaterThan(0);

  const ssh = await openTerminal(page, 'web', 'Terminal');
  expect(await runInTerminal(ssh, 'hostname')).toBe('web');
  expect(await runInTerminal(ssh, 'ping -c1 -W5 db >/dev/null && echo reached')).toBe('reached');
  await runInTerminal(ssh, 'echo first >/root/kept; sync');
  expect(await runInTerminal(ssh, 'cat /root/kept')).toBe('first');
  await picture(page, 'terminal');
  await expectAccessible(page, 'a real terminal');

  await takeSnapshot(page, 'shop', 'clean');
  await runInTerminal(ssh, 'echo second >/root/kept');
  expect(await runInTerminal(ssh, 'cat /root/kept')).toBe('second');
  await page
    .getByRole('option', { name: /^clean,/ })
    .getByText('clean', { exact: true })
    .click();
  await picture(page, 'snapshots');
  await page.getByRole('button', { name: 'Revert 2 VMs' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Snapshot the present first')).toBeChecked();
  await expect(dialog.getByRole('row', { name: /^db running goes on from that moment/ })).toBeVisible();
  await dialog.getByRole('button', { name: 'Revert 2 VMs' }).click();
  await expectTask(page, 'shop', 'Revert shop');
  await showView(page, 'shop', 'VMs');
  await expectRunning(page, 'shop', VMS);
  const again = await openTerminal(page, 'web', 'Terminal');
  expect(await runInTerminal(again, 'cat /root/kept')).toBe('first');

  await showView(page, 'shop', 'Snapshots');
  await page.getByRole('option', { name: /^clean,/ }).click();
  await page.getByRole('region', { name: 'Snapshot clean' }).getByRole('button', { name: 'Pin' }).click();
  await expect(page.getByRole('option', { name: /^clean,.*pinned/ })).toBeVisible();
  await page.getByRole('option', { name: /^before-revert,/ }).click();
  await page.getByRole('region', { name: 'Snapshot before-revert' }).getByRole('button', { name: 'Fork', exact: true }).click();
  await dialog.getByLabel('Name of the fork').fill('shop-fork');
  await dialog.getByRole('button', { name: 'Fork 2 VMs' }).click();
  await expectRunning(page, 'shop-fork', VMS);
  const forked = await openTerminal(page, 'web', 'Terminal');
  expect(await runInTerminal(forked, 'cat /root/kept')).toBe('second');
  await showView(page, 'shop-fork', 'Snapshots');
  await page.getByRole('button', { name: 'Forked from shop at “before-revert”' }).click();
  await expect(page.getByRole('heading', { name: 'shop', exact: true, level: 1 })).toBeVisible();
  await page.getByRole('option', { name: /^before-revert,/ }).click();
  await page.keyboard.press('Delete');
  await expect(dialog).toContainText('Gives back');
  await dialog.getByRole('button', { name: 'Delete snapshot' }).click();
  await expect(page.getByRole('option', { name: /^before-revert,/ })).toBeHidden();
  await page.getByRole('button', { name: 'Fork shop-fork of “before-revert”' }).click();
  await showView(page, 'shop-fork', 'VMs');
  await expectRunning(page, 'shop-fork', VMS);
  await destroyEnvironment(page, 'shop-fork');
  await showEnvironment(page, 'shop');
  await showView(page, 'shop', 'VMs');

  const serial = await openTerminal(page, 'db', 'Serial console');
  await typeLine(serial, '');
  await expectTerminal(serial, /login:/);

  await vmRow(page, 'db').getByRole('button', { name: 'Screen of db' }).click();
  const canvas = page.getByRole('tabpanel', { name: 'Terminals' }).locator('canvas:visible').first();
  await expect.poll(async () => await coloursOf(canvas), { timeout: 60_000 }).toBeGreaterThan(1);
  await picture(page, 'screen');

  await showView(page, 'shop', 'Activity');
  await task.getByRole('button', { name: 'Create shop, steps' }).click();
  await task.getByText('Log', { exact: true }).click();
  await expect(task).toContainText('not in cache, downloading');
  await page.getByRole('tablist', { name: 'Dock' }).getByRole('tab', { name: 'Log' }).click();
  await expect(page.getByRole('log', { name: 'Log' })).toContainText('not in cache, downloading');
  await picture(page, 'log');

  await stopEnvironment(page, 'shop', VMS);
  await destroyEnvironment(page, 'shop');
  expect(pageErrors()).toEqual([]);
  await close();
  await expectNothingLeft(scratch, namespaces);
});

test('killing the program leaves the VMs alone', async () => {
  const first = await openDesktop(scratch);
  await dropPlan(first.page, twoVms(scratch, 'stays'), VMS);
  await createFromPlan(first.page, 'stays');
  await expectRunning(first.page, 'stays', VMS);
  const before = await openTerminal(first.page, 'web', 'Terminal');
  const boot = await runInTerminal(before, 'cat /proc/sys/kernel/random/boot_id');
  const namespaces = ownedNamespaces(scratch);
  await first.kill();

  const second = await openDesktop(scratch);
  await showOrOpen(second.page, 'stays');
  await expectRunning(second.page, 'stays', VMS);
  const after = await openTerminal(second.page, 'web', 'Terminal');
  expect(await runInTerminal(after, 'cat /proc/sys/kernel/random/boot_id')).toBe(boot);
  await destroyEnvironment(second.page, 'stays');
  await second.close();
  await expectNothingLeft(scratch, namespaces);
});

test('two copies of one init file run side by side with the same addresses', async () => {
  const { page, close } = await openDesktop(scratch);
  const file = twoVms(scratch, 'twin');
  for (const name of ['left', 'right']) {
    await dropPlan(page, file, VMS);
    await createFromPlan(page, name);
    await expectOn(page, name);
  }
  const namespaces = ownedNamespaces(scratch);
  const addresses = new Set<string>();
  for (const name of ['left', 'right']) {
    await showEnvironment(page, name);
    await expectRunning(page, name, VMS);
    addresses.add((await vmRow(page, 'web').innerText()).match(/192\.168\.200\.\d+/)?.[0] ?? '');
    const ssh = await openTerminal(page, 'web', 'Terminal');
    await runInTerminal(ssh, `echo ${name} >/root/mine`);
  }
  expect([...addresses]).toEqual([expect.stringMatching(/^192\.168\.200\.\d+$/)]);
  for (const name of ['left', 'right']) {
    await showEnvironment(page, name);
    const ssh = await openTerminal(page, 'web', 'Terminal');
    expect(await runInTerminal(ssh, 'cat /root/mine')).toBe(name);
    expect(await terminalText(ssh)).not.toContain('not found');
  }
  for (const name of ['left', 'right']) {
    await showEnvironment(page, name);
    await destroyEnvironment(page, name);
  }
  await close();
  await expectNothingLeft(scratch, namespaces);
});

test('closing during creation asks, and cancelling undoes it', async () => {
  const { app, page } = await openDesktop(scratch);
  await dropPlan(page, twoVms(scratch, 'half'), VMS);
  await createFromPlan(page, 'half');
  await expect(page.getByTestId('task').filter({ hasText: 'Create half' }).getByRole('progressbar').first()).toBeVisible();
  const ended = new Promise<void>((resolve) => app.process().once('exit', () => resolve()));
  await doInMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  const question = page.getByRole('dialog');
  await expect(question).toBeVisible();
  await question.getByRole('button', { name: 'Stay' }).click();
  await expect(question).toBeHidden();
  await doInMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await question.getByRole('button', { name: 'Cancel it and quit' }).click();
  await ended;
  await expectNoProcess(scratch);
  // Cancelling while VMs start restores the state before the start: complete and off.
  if (existsSync(join(scratch.workdir, 'half'))) {
    const second = await openDesktop(scratch);
    await showOrOpen(second.page, 'half');
    for (const vm of VMS) await expect(vmRow(second.page, vm)).toContainText('down');
    await destroyEnvironment(second.page, 'half');
    await second.close();
  }
  await expectNothingLeft(scratch, new Set());
});

test('closing without an answer waits for running operations', async () => {
  const { app, page } = await openDesktop(scratch);
  await dropPlan(page, twoVms(scratch, 'waits'), VMS);
  await createFromPlan(page, 'waits');
  await expect(page.getByTestId('task').filter({ hasText: 'Create waits' }).getByRole('progressbar').first()).toBeVisible();
  const ended = new Promise<number | null>((resolve) => app.process().once('exit', resolve));
  await doInMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await expect(page.getByRole('dialog')).toBeVisible();
  expect(await ended).toBe(0);
  const namespaces = ownedNamespaces(scratch);
  expect(namespaces.size).toBeGreaterThan(0);

  const second = await openDesktop(scratch);
  await showOrOpen(second.page, 'waits');
  await expectOn(second.page, 'waits');
  await destroyEnvironment(second.page, 'waits');
  await second.close();
  await expectNothingLeft(scratch, namespaces);
});

test('closing with "keep working" finishes running operations first, and leaves the environment running', async () => {
  const { app, page } = await openDesktop(scratch);
  await dropPlan(page, twoVms(scratch, 'kept'), VMS);
  await createFromPlan(page, 'kept');
  await expect(page.getByTestId('task').filter({ hasText: 'Create kept' }).getByRole('progressbar').first()).toBeVisible();
  const ended = new Promise<number | null>((resolve) => app.process().once('exit', resolve));
  await doInMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await page.getByRole('dialog').getByRole('button', { name: 'Keep working in the background' }).click();
  expect(await ended).toBe(0);

  const second = await openDesktop(scratch);
  await showOrOpen(second.page, 'kept');
  await expectOn(second.page, 'kept');
  const namespaces = ownedNamespaces(scratch);
  await destroyEnvironment(second.page, 'kept');
  await second.close();
  await expectNothingLeft(scratch, namespaces);
});

/** Waits until the environment's page is in front and its VMs run, whether or not their guests are up. */
async function expectOn(page: Page, name: string): Promise<void> {
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible({ timeout: 60_000 });
  for (const vm of VMS) await expect(vmRow(page, vm)).toContainText('running', { timeout: 60_000 });
}

/** Shows a known environment: its tab if there is one, else its row in the list. */
async function showOrOpen(page: Page, name: string): Promise<void> {
  const tab = page.getByRole('tablist', { name: 'Open environments' }).getByRole('tab', { name });
  const row = page.getByRole('table', { name: 'Environments' }).getByRole('row', { name, exact: true });
  await tab.or(row).first().click();
}
