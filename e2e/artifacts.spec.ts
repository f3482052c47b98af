import { expect, type Page, test } from '@playwright/test';
import { expectAccessible } from './support/axe.ts';
import { type DemoPage, openDemoPage, SHOP } from './support/demo-page.ts';
import { dropFile } from './support/drop.ts';
import { picture } from './support/screenshots.ts';

// Artifacts and copies in the window, on the page's demo engine. With VMs: collect.spec.ts and copy.spec.ts.

let demo: DemoPage;
let page: Page;

test.beforeAll(async () => {
  demo = await openDemoPage();
  page = demo.page;
});
test.afterAll(async () => await demo.close());
test.beforeEach(async () => {
  await demo.show('many');
  await demo.showShop();
});

async function showArtifacts(): Promise<void> {
  await page
    .getByRole('tablist', { name: `Views of ${SHOP}` })
    .getByRole('tab', { name: 'Artifacts' })
    .click();
  await expect(page.getByRole('list', { name: 'Collections' }).getByRole('listitem')).toHaveCount(2);
}

async function openFile(...names: readonly string[]): Promise<void> {
  for (const name of names) await page.getByRole('list', { name: 'Files' }).getByRole('button', { name }).click();
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`collections are listed, browsed and read, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await showArtifacts();
    await expect(page.getByRole('list', { name: 'Collections' })).toContainText('After a failed deploy · 2 VMs · 4 MiB');
    await expect(page.getByRole('list', { name: 'What is missing' })).toContainText('web: There is nothing at /var/log/audit.');
    await openFile('web', '_var_log', 'app.log');
    const text = page.getByRole('region', { name: 'Content of web/_var_log/app.log' });
    await expect(text).toContainText('ERROR could not connect to db');
    await expect(text.getByText('ERROR')).toHaveCSS('font-weight', '600');
    await expectAccessible(page, 'artifacts');
    await picture(page, `artifacts-${colorScheme}`);
    await page.getByRole('button', { name: 'Up' }).click();
    await expect(page.getByRole('list', { name: 'Files' }).getByRole('button', { name: '_var_log' })).toBeVisible();
  });
}

test('a large file is read in parts, and searched to its end', async () => {
  await showArtifacts();
  await openFile('web', '_var_log', 'messages.log');
  const text = page.getByRole('region', { name: 'Content of web/_var_log/messages.log' });
  await expect(text).toContainText('line 0: nothing');
  await expect(text).not.toContainText('line 19999:');
  const previous = page.getByRole('button', { name: 'Previous part' });
  await expect(previous).toBeDisabled();
  await page.getByRole('searchbox').fill('LINE 19999');
  await page.getByRole('button', { name: 'Find next' }).click();
  await expect(text.locator('mark')).toHaveText('line 19999');
  await expect(page.getByRole('button', { name: 'Next part' })).toBeDisabled();
  await page.getByRole('button', { name: 'Find next' }).click();
  await expect(page.getByText('“LINE 19999” is not in the rest of the file.')).toBeVisible();
  for (let part = 0; part < 3; part++) await previous.click();
  await expect(text).toContainText('line 0: nothing');
});

test('two collections are compared, and one is deleted', async () => {
  await showArtifacts();
  for (const box of await page.getByRole('checkbox', { name: /^Compare that of/ }).all()) await box.check();
  const changed = page.getByRole('list', { name: 'Changed files' });
  await expect(changed).toContainText('Addedweb/_var_log/core.1234– → 1.9 MiB');
  await changed.getByRole('button', { name: 'app.log' }).click();
  const diff = page.getByRole('region', { name: 'Changes of web/_var_log/app.log' });
  await expect(diff).toContainText('119−WARN  worker 2 answers slowly');
  await expect(diff).toContainText('119+WARN  worker 2 does not answer');
  await expect(page.getByText('2 lines added, 1 line removed')).toBeVisible();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await expectAccessible(page, `differences, ${colorScheme}`);
    await picture(page, `diff-${colorScheme}`);
  }
  await page.getByRole('button', { name: 'Stop comparing' }).click();
  await page
    .getByRole('button', { name: /^Delete that of/ })
    .first()
    .click();
  await expect(page.getByRole('list', { name: 'Collections' }).getByRole('listitem')).toHaveCount(1);
});

test('a file and a whole collection are saved where the system’s dialog says', async () => {
  await showArtifacts();
  await page.getByRole('button', { name: 'Save the collection as…' }).click();
  await openFile('web', '_var_log', 'app.log');
  await page.getByRole('button', { name: 'Save app.log as…' }).click();
  await page.getByRole('button', { name: 'Show app.log in the file manager' }).click();
  await page.getByRole('tab', { name: 'Activity' }).click();
  const tasks = page.getByTestId('task');
  await expect(tasks.filter({ hasText: 'Save web/_var_log/app.log to /home/eva/saved' })).toBeVisible();
  await expect(tasks.filter({ hasText: 'Save  to /home/eva/saved' })).toBeVisible();
});

test('an environment without collections says what they are', async () => {
  await page.getByRole('button', { name: 'Environments' }).click();
  await page.getByRole('table', { name: 'Environments' }).getByText('ovirt-4.0', { exact: true }).click();
  await page.getByRole('tab', { name: 'Artifacts' }).click();
  await expect(page.getByText('Nothing collected yet')).toBeVisible();
  await expectAccessible(page, 'no artifacts');
});

test('collecting and copying do not block other actions', async () => {
  await page.getByRole('button', { name: `More for ${SHOP}` }).click();
  await page.getByRole('menuitem', { name: 'Collect artifacts' }).click();
  // It is under way: a second one has to wait, everything else has not.
  await expect(page.getByRole('button', { name: 'Collect artifacts', exact: true })).toBeDisabled();
  await expect(page.getByRole('main').getByRole('button', { name: 'Stop', exact: true })).toBeEnabled();
});

test('a file dropped on a VM is copied there, and one is saved from it', async () => {
  const row = page.getByRole('table', { name: 'VMs' }).getByRole('row', { name: 'web', exact: true });
  await dropFile(page, row, '/etc/hostname');
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('Copy hostname to web')).toBeVisible();
  await expectAccessible(page, 'copy to a VM');
  await picture(page, 'copy-dropped');
  await dialog.getByRole('button', { name: 'Copy to web' }).click();
  await expect(page.getByRole('heading', { name: SHOP, level: 1 })).toBeVisible();
  await page.getByRole('tab', { name: 'Activity' }).click();
  await expect(page.getByTestId('task').filter({ hasText: 'hostname to web' })).toBeVisible();
  await page.getByRole('tab', { name: 'VMs' }).click();
  await page.getByRole('button', { name: 'More for web' }).click();
  await page.getByRole('menuitem', { name: 'Save file from VM…' }).click();
  await expect(dialog.getByText('Save a file from web')).toBeVisible();
  await expect(page.getByRole('menu')).toBeHidden();
  await expectAccessible(page, 'save from a VM');
  await dialog.getByRole('textbox', { name: 'File or directory in the VM' }).fill('/var/log/messages');
  const local = dialog.getByRole('textbox', { name: 'Directory or new name on this machine' });
  await dialog.getByRole('button', { name: 'Directory…' }).click();
  await expect(local).toHaveValue('/home/eva/work/shop/site');
  await dialog.getByRole('button', { name: 'New name…' }).click();
  await expect(local).toHaveValue('/home/eva/saved');
  await picture(page, 'copy-from');
  await dialog.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('tab', { name: 'Activity' }).click();
  await expect(page.getByTestId('task').filter({ hasText: '/var/log/messages from web' })).toBeVisible();
});

test('what to copy to a VM is chosen in the system’s dialog', async () => {
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
  await page.getByRole('button', { name: 'More for web' }).click();
  await page.getByRole('menuitem', { name: 'Copy files to VM…' }).click();
  const dialog = page.getByRole('dialog');
  const local = dialog.getByRole('textbox', { name: 'File or directory of this machine' });
  await dialog.getByRole('button', { name: 'Directory…' }).click();
  await expect(local).toHaveValue('/home/eva/work/shop/site');
  await dialog.getByRole('button', { name: 'File…' }).click();
  await expect(local).toHaveValue('/home/eva/work/shop/notes.txt');
  await expectAccessible(page, 'choose what to copy');
  await picture(page, 'copy-to-dark');
  await dialog.getByRole('button', { name: 'Copy to web' }).click();
  await page.getByRole('tab', { name: 'Activity' }).click();
  await expect(page.getByTestId('task').filter({ hasText: 'notes.txt to web' })).toBeVisible();
});
