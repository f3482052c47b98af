import { expect, type Locator, test } from '@playwright/test';
import { expectAccessible } from '../support/axe.ts';
import { type DemoPage, openDemoPage } from '../support/demo-page.ts';
import { picture } from '../support/screenshots.ts';

/** The comparison of two points on the page's demo engine, which needs no VM. */
let demo: DemoPage;
test.beforeAll(async () => {
  demo = await openDemoPage();
});
test.afterAll(async () => await demo.close());

test('what changed since a snapshot: a tree with counts, packages, and the text of a file', async () => {
  const { page } = demo;
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await demo.resize(1280, 900);
  await demo.show('demo');
  await demo.showShop();
  await page.getByRole('tab', { name: 'Snapshots' }).click();
  await page.getByRole('button', { name: 'Compare' }).click();
  const dialog = page.getByRole('dialog', { name: /^What changed in / });
  const tree = dialog.getByRole('list', { name: 'Changed files' });
  const row = (name: string | RegExp): Locator => tree.getByRole('button', { name });
  await expect(row(/^etc\/nginx .*1 added.*1 removed.*1 changed/)).toBeVisible();
  await expect(dialog).toContainText('was running: what it wrote while its disk was read may be missing.');
  await expect(dialog.getByRole('table', { name: 'Changed packages' }).getByRole('row', { name: 'nginx – 1.22.1-9' })).toBeVisible();

  // A large folder is closed at first, and a link has no text.
  const large = row(/^srv\/shop /);
  await expect(large).toHaveAttribute('aria-expanded', 'false');
  await large.click();
  await expect(row(/^run\.sh.*changed, permissions/)).toBeVisible();
  await expect(row(/^images .*60 added/)).toHaveAttribute('aria-expanded', 'false');
  await large.press('Enter');
  await expect(row(/^run\.sh/)).toBeHidden();
  await expect(row(/^sites-enabled/)).toHaveAttribute('aria-expanded', 'true');
  await expect(row(/^default.*removed/)).toBeDisabled();

  await row(/^nginx\.conf/).click();
  await expect(dialog.getByRole('region', { name: 'Changes of /etc/nginx/nginx.conf' })).toContainText('keepalive_timeout 65 60;');
  await picture(page, 'changes');
  await expectAccessible(page, 'what changed');

  await dialog.getByLabel('To').selectOption({ index: 1 });
  await expect(row(/^etc\/nginx/)).toBeVisible();
  await expect(dialog).not.toContainText('was running');
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await expect(dialog).toBeHidden();
});
