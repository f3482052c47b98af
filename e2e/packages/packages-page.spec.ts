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
    if (colorScheme === 'light') await picture(page, 'packages');
    await page.getByText('What VMs need to use them').click();
    await expectAccessible(page, 'packages, served');
    await page.getByText('What VMs need to use them').click();
    await showRequests();
    await expectAccessible(page, 'requests');
    await page
      .getByRole('tab', { name: 'Environments' })
      .or(page.getByRole('button', { name: 'Environments' }))
      .first()
      .click();
    await page.getByText('ovirt-4.0', { exact: true }).first().click();
    await page.getByRole('tab', { name: 'Packages' }).click();
    await expect(page.getByRole('button', { name: 'Merge a folder…' })).toBeVisible();
    await expectAccessible(page, 'no packages');
  });
}

test('thousands of packages are searched, and only those in sight are on the page', async () => {
  await showPackages();
  const shown = rows('Packages');
  expect(await shown.count()).toBeLessThan(80);
  await expect(page.getByText('1290 packages')).toBeVisible();
  await page.getByRole('textbox', { name: 'Search the packages' }).fill('2.14 shop-api');
  await expect(page.getByText('2 packages')).toBeVisible();
  await expect(shown).toHaveCount(3);
  await page.getByRole('combobox', { name: 'Packages for' }).selectOption('fc41');
  await expect(shown.nth(1)).toContainText('shop-api2.14.0-0.fc41');
  await page.getByRole('textbox', { name: 'Search the packages' }).press('Escape');
  await expect(page.getByText('645 packages')).toBeVisible();
  const list = page.getByRole('table', { name: 'Packages', exact: true });
  await list.focus();
  await page.keyboard.press('End');
  await expect(shown.last()).toHaveAttribute('aria-rowindex', '646');
  await expect(shown.last()).toBeInViewport();
});

test('the log of requests follows its end unless the user has scrolled away, and is filtered', async () => {
  await showPackages();
  await serve().click({ force: true });
  await showRequests();
  const log = page.getByRole('table', { name: 'Requests' });
  const newest = rows('Requests').last();
  const number = async (): Promise<number> => Number(await newest.getAttribute('aria-rowindex'));
  const before = await number();
  await expect.poll(number).toBeGreaterThan(before);
  await expect(newest).toBeInViewport();
  expect(await rows('Requests').count()).toBeLessThan(80);
  await log.focus();
  await page.keyboard.press('Home');
  await expect(rows('Requests').nth(1)).toHaveAttribute('aria-rowindex', '2');
  await page.getByRole('button', { name: 'To the newest' }).click();
  await expect(page.getByRole('button', { name: 'To the newest' })).toBeHidden();
  await expect.poll(number).toBeGreaterThan(before);
  await page.getByRole('checkbox', { name: 'Failed only' }).check();
  await page.getByRole('combobox', { name: 'Requests of' }).selectOption('db');
  await page.getByRole('textbox', { name: 'Search the requests' }).fill('worker');
  await expect(newest).toContainText('500 failed');
  await page.getByRole('textbox', { name: 'Search the requests' }).fill('nothing like it');
  await expect(page.getByText('No request fits.')).toBeVisible();
});

test('sources are added, ordered, given a rule and merged, all by the keyboard', async () => {
  await showPackages();
  const build = '/home/eva/work/shop/exported-artifacts';
  const sources = page.getByRole('list', { name: 'Sources in their order' }).getByRole('listitem');
  const field = page.getByRole('textbox', { name: 'Source to add' });
  await field.fill('https://builds.example.org/shop/');
  await field.press('Enter');
  await expect(sources).toHaveCount(2);
  await expect(sources.first()).toContainText('builds.example.org');
  await page.getByRole('button', { name: `Move ${build} up` }).press('Enter');
  await expect(sources.first()).toContainText(build);
  await page.getByRole('combobox', { name: `Rule of ${build}` }).selectOption('Always wins');
  // The choice outlives another view.
  await page.getByRole('tab', { name: 'Activity' }).click();
  await page.getByRole('tab', { name: 'Packages' }).click();
  await expect(page.getByRole('combobox', { name: `Rule of ${build}` })).toHaveValue('pinned');
  await page.getByRole('button', { name: 'Leave out https://builds.example.org/shop/' }).press('Enter');
  await expect(sources).toHaveCount(1);
  await page.getByRole('button', { name: 'Merge', exact: true }).press('Enter');
  await expect(page.getByTestId('task')).toContainText('Merge packages');
  await expect(page.getByTestId('task')).toHaveCount(0);
  await expect(page.getByRole('table', { name: 'Merged repositories' })).toContainText('just now');
});

test('an environment without packages begins with a folder; what cannot be done is said', async () => {
  await page.getByRole('button', { name: 'Environments' }).click();
  await page.getByText('ovirt-4.0', { exact: true }).first().click();
  await page.getByRole('tab', { name: 'Packages' }).click();
  await page.getByRole('button', { name: 'Merge a folder…' }).click();
  await expect(page.getByTestId('task')).toContainText('Merge packages');
  await expect(rows('Packages').nth(1)).toBeVisible();
  await expect(serve()).toHaveAttribute('aria-disabled', 'true');
  await serve().click({ force: true });
  await expect(serve()).not.toBeChecked();
  await page.getByRole('main').getByRole('button', { name: 'Start', exact: true }).click();
  await expect(page.getByRole('region', { name: 'Serving' })).toContainText('Not served');
  await serve().press('Space');
  await expect(page.getByRole('alert')).toContainText('Port 8585 of 192.168.203.1 is in use');
  await expect(serve()).not.toBeChecked();
});
