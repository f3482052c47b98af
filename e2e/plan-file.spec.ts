import { readFileSync, writeFileSync } from 'node:fs';
import { type ElectronApplication, expect, test } from '@playwright/test';
import { dropFile } from './support/drop.ts';
import { dropPlan } from './support/environment.ts';
import { threeVmsWithBridge, twoVms } from './support/init-files.ts';
import { askMain, doInMain } from './support/main-process.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';
import { openDesktop } from './support/window.ts';

/** The real window without an environment: files that change while their plan is open, and keys that the page never receives. */
let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

test('a saved file shows its new state by itself, and so does one that is dropped again', async () => {
  const { page, pageErrors, close } = await openDesktop(scratch);
  const file = twoVms(scratch, 'shop');
  const good = readFileSync(file, 'utf8');
  const bad = good.replaceAll('"memory": 192', '"memory": "much"');
  writeFileSync(file, bad);
  await dropFile(page, page.locator('#root'), file);
  const issues = page.getByRole('region', { name: 'Issues' });
  await expect(issues.getByText('2 errors')).toBeVisible();

  writeFileSync(file, good);
  const planned = page.getByRole('table', { name: 'Planned VMs' });
  await expect(planned.getByRole('row', { name: 'web', exact: true })).toBeVisible();
  await expect(issues).toBeHidden();
  writeFileSync(file, bad);
  await expect(issues.getByText('2 errors')).toBeVisible();

  // Another page is in front while the file is saved.
  await page.getByRole('button', { name: 'Machine checks', exact: true }).click();
  writeFileSync(file, good);
  await dropPlan(page, file, ['web', 'db']);
  await expect(issues).toBeHidden();
  expect(pageErrors()).toEqual([]);
  await close();
});

test('the plan promises an address by DHCP only on networks that have it', async () => {
  const { page, close } = await openDesktop(scratch);
  await dropPlan(page, threeVmsWithBridge(scratch, 'bridged'), ['one', 'two', 'three']);
  const row = page.getByRole('table', { name: 'Planned VMs' }).getByRole('row', { name: 'one', exact: true });
  await expect(row.getByRole('cell').nth(5)).toHaveText(/^(192\.168\.\d+\.\d+|by DHCP)none$/);
  await close();
});

async function press(app: ElectronApplication, keyCode: string, modifiers: ('control' | 'shift')[]): Promise<void> {
  await doInMain(
    app,
    ({ BrowserWindow }, key) => {
      const contents = BrowserWindow.getAllWindows()[0]?.webContents;
      contents?.sendInputEvent({ type: 'keyDown', ...key });
      contents?.sendInputEvent({ type: 'keyUp', ...key });
    },
    { keyCode, modifiers },
  );
}

test('Ctrl with =, +, - and 0 zooms, and a dock that was closed meanwhile opens at its height', async () => {
  const { app, page, close } = await openDesktop(scratch);
  const factor = async (): Promise<number> =>
    Math.round((await askMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.getZoomFactor() ?? 0)) * 100);
  await press(app, '=', ['control']);
  await expect.poll(factor).toBe(110);
  await press(app, 'Plus', ['control', 'shift']);
  await expect.poll(factor).toBe(125);
  await press(app, 'numadd', ['control']);
  await expect.poll(factor).toBe(150);
  await press(app, '-', ['control']);
  await expect.poll(factor).toBe(125);
  for (const expected of [150, 175, 200]) {
    await press(app, '=', ['control']);
    await expect.poll(factor).toBe(expected);
  }
  await press(app, '0', ['control']);
  await expect.poll(factor).toBe(100);
  await page.getByRole('button', { name: 'Show the dock' }).click();
  expect((await page.getByRole('region', { name: 'Dock' }).boundingBox())?.height).toBe(280);
  await close();
});
