import { expect, type Locator, type Page, test } from '@playwright/test';
import { expectAccessible } from '../support/axe.ts';
import { type DemoPage, openDemoPage } from '../support/demo-page.ts';
import { picture } from '../support/screenshots.ts';

// The Packages tab of an environment, on the page's demo engine. With VMs: environment-tab.spec.ts.

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

const rows = (table: string): Locator => page.getByRole('table', { name: table, exact: true }).getByRole('row');
const serve = (): Locator => page.getByRole('switch', { name: 'Serve to the VMs' });

async function showPackages(): Promise<void> {
  await page.getByRole('tab', { name: 'Packages' }).click();
  await expect(rows('Packages').nth(1)).toBeVisible();
}

async function showRequests(): Promise<void> {
  await page.getByText(/^Requests \d/).click();
  await expect(rows('Requests').nth(1)).toBeVisible();
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`packages and requests are shown, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await showPackages();
    await expectAccessible(page, 'packages');
    await serve().click({ force: true });
    await expect(page.getByRole('region', { name: 'Serving' })).toContainText('http://192.168.200.1:8585/');
    await picture(page, `packages-${colorScheme}`);
    await page.getByText('What VMs need to use them').click();
    await expectAccessible(page, 'packages, served');
    await picture(page, `packages-served-${colorScheme}`);
    await page.getByText('What VMs need to use them').click();
    await showRequests();
    await expectAccessible(page, 'requests');
    await picture(page, `packages-requests-${colorScheme}`);
    await page
      .getByRole('tab', { name: 'Environments' })
      .or(page.getByRole('button', { name: 'Environments' }))
      .first()
      .click();
    await page.getByText('ovirt-4.0', { exact: true }).first().click();
    await page.getByRole('tab', { name: 'Packages' }).click();
    await expect(page.getByRole('button', { name: 'Merge a folder…' })).toBeVisible();
    await expectAccessible(page, 'no packages');
    await picture(page, `packages-empty-${colorScheme}`);
  });
}
