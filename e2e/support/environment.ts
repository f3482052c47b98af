import { expect, type Locator, type Page } from '@playwright/test';
import { dropFile } from './drop.ts';

/** Time limit for booting two emulated guests on a loaded machine, ms. */
const BOOT = 180_000;

/** Drops an init file on the window and waits for its plan with these VMs. */
export async function dropPlan(page: Page, file: string, vms: readonly string[]): Promise<void> {
  await dropFile(page, page.locator('#root'), file);
  const planned = page.getByRole('table', { name: 'Planned VMs' });
  for (const vm of vms) await expect(planned.getByRole('row', { name: vm, exact: true })).toBeVisible();
}

/** Creates and starts the plan in front under this name, without internet access for guests. */
export async function createFromPlan(page: Page, name: string): Promise<void> {
  await page.getByRole('switch', { name: 'Internet access for guests' }).uncheck();
  await page.getByRole('textbox', { name: 'Environment name' }).fill(name);
  await page.getByRole('button', { name: 'Create and start' }).click();
}

/** Waits until the environment's page is in front and every VM is running and answers ssh. */
export async function expectRunning(page: Page, name: string, vms: readonly string[]): Promise<void> {
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible({ timeout: BOOT });
  for (const vm of vms) {
    const row = vmRow(page, vm);
    await expect(row).toContainText('running', { timeout: BOOT });
    await expect(row).toContainText('ready', { timeout: BOOT });
  }
}

/** The row of a VM on the environment's page. */
export function vmRow(page: Page, vm: string): Locator {
  return page.getByRole('table', { name: 'VMs' }).getByRole('row', { name: vm, exact: true });
}

/** Shows a view of the environment's page. */
export async function showView(
  page: Page,
  name: string,
  view: 'VMs' | 'Networks' | 'Snapshots' | 'Deploy' | 'Artifacts' | 'Packages' | 'Activity',
): Promise<void> {
  await page
    .getByRole('tablist', { name: `Views of ${name}` })
    .getByRole('tab', { name: view })
    .click();
}

/** Opens an environment from the list. */
export async function openEnvironment(page: Page, name: string): Promise<void> {
  await page.getByRole('table', { name: 'Environments' }).getByText(name, { exact: true }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
}

/** Brings the tab of an environment to the front. */
export async function showEnvironment(page: Page, name: string): Promise<void> {
  await page.getByRole('tablist', { name: 'Open environments' }).getByRole('tab', { name }).click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible();
}

/** Waits until the Activity view shows that the task with this label has succeeded. */
export async function expectTask(page: Page, name: string, label: string): Promise<void> {
  await showView(page, name, 'Activity');
  const card = page.getByTestId('task').filter({ hasText: label }).first();
  await expect(card).toHaveAttribute('data-status', 'succeeded', { timeout: BOOT });
}

/** Lets the environment's guests shut down and waits until none of its VMs run; one that ignores it is powered off after a minute. */
export async function stopEnvironment(page: Page, name: string, vms: readonly string[]): Promise<void> {
  await page.getByRole('main').getByRole('button', { name: 'Stop', exact: true }).click();
  await showView(page, name, 'VMs');
  for (const vm of vms) await expect(vmRow(page, vm)).toContainText('down', { timeout: 120_000 });
}

/** Destroys the environment, typing its name into the dialog. */
export async function destroyEnvironment(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: `More for ${name}`, exact: true }).click();
  await page.getByRole('menuitem', { name: 'Destroy…' }).click();
  const dialog = page.getByRole('dialog');
  const confirm = dialog.getByRole('button', { name: `Destroy ${name}` });
  await expect(confirm).toBeDisabled();
  await dialog.getByRole('textbox').fill(name);
  await confirm.click();
  await expect(page.getByRole('heading', { name, level: 1 })).toBeHidden({ timeout: 60_000 });
}
