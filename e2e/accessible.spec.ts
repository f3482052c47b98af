import { expect, type Page, test } from '@playwright/test';
import { expectAccessible, expectReadable } from './support/axe.ts';
import { type DemoPage, openDemoPage, SHOP } from './support/demo-page.ts';

/** The accessibility checker axe finds nothing on any page or dialog. Uses the page's demo engine, which needs no VM. */
let demo: DemoPage;
let page: Page;

test.beforeAll(async () => {
  demo = await openDemoPage();
  page = demo.page;
});
test.afterAll(async () => await demo.close());

type Check = typeof expectAccessible;

/** Opens a dialog from a menu, checks it, and closes it. */
async function inDialog(check: Check, open: () => Promise<void>, what: string): Promise<void> {
  await open();
  await expect(page.getByRole('dialog')).toBeVisible();
  await check(page, what);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
}

async function choose(menu: string, item: string): Promise<void> {
  await page.getByRole('button', { name: menu }).click();
  await page.getByRole('menuitem', { name: item }).click();
}

// Names, roles and the order of headings are the same in both: the dark one differs in colours only.
for (const [colorScheme, check] of [
  ['light', expectAccessible],
  ['dark', expectReadable],
] as const) {
  test(`axe finds nothing on any page, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await demo.show('empty');
    await expect(page.getByRole('button', { name: 'Try the two-VM sample' })).toBeEnabled();
    await check(page, 'home, empty');
    await page.getByRole('button', { name: 'Library' }).click();
    await expect(page.getByRole('button', { name: 'Add a repository…' })).toBeVisible();
    await check(page, 'library, empty');
    await page.getByRole('button', { name: 'Package repositories' }).click();
    await expect(page.getByText('No package repositories yet')).toBeVisible();
    await check(page, 'package repositories, empty');

    await demo.show('errors');
    await page.getByRole('button', { name: 'Open a file', exact: true }).click();
    await expect(page.getByRole('region', { name: 'Issues' })).toBeVisible();
    await check(page, 'plan with errors');

    await demo.show('many');
    await expect(page.getByRole('table', { name: 'Environments' })).toBeVisible();
    await check(page, 'home');
    for (const button of ['Library', 'Open a file']) {
      await page.getByRole('button', { name: button, exact: true }).hover();
      await expect(page.getByRole('tooltip')).toBeVisible();
      await check(page, `tooltip of ${button}`);
    }
    await page.getByRole('button', { name: 'Library' }).click();
    await expect(page.getByRole('textbox', { name: 'Filter templates' })).toBeVisible();
    await check(page, 'library');
    await page.getByRole('tab', { name: 'Repositories' }).click();
    await check(page, 'repositories');
    await page.getByRole('button', { name: 'Package repositories' }).click();
    for (const name of ['ovirt-master-el9', 'ovirt-4.5-el9']) await page.getByRole('row', { name, exact: true }).click();
    await expect(page.getByText('vdsm-4.50.4-1.el9.x86_64').first()).toBeVisible();
    await check(page, 'package repositories');
    await page.getByRole('button', { name: 'Machine checks', exact: true }).click();
    await expect(page.getByRole('list', { name: 'Checks' })).toBeVisible();
    await check(page, 'machine');
    await demo.showPlan();
    await check(page, 'plan');
    await page.getByRole('button', { name: 'Environments' }).click();
    await demo.showShop();
    await page.getByRole('button', { name: 'Processor use of web' }).hover();
    await expect(page.getByRole('tooltip')).toBeVisible();
    await check(page, 'VMs');
    for (const view of ['Networks', 'Snapshots', 'Deploy', 'Packages', 'Activity', 'VMs']) {
      await page
        .getByRole('tablist', { name: `Views of ${SHOP}` })
        .getByRole('tab', { name: view })
        .click();
      await check(page, view);
    }
    await page.getByRole('button', { name: `More for ${SHOP}` }).click();
    await expect(page.getByRole('menu')).toBeVisible();
    await check(page, 'menu');
    await page.getByRole('menuitem', { name: 'Destroy…' }).click();
    await expect(page.getByRole('dialog')).toBeVisible();
    await check(page, 'destroy');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await expect(page.getByRole('dialog')).toBeVisible();
    await check(page, 'keys');
    await page.keyboard.press('Escape');
    await demo.openTerminal();
    await check(page, 'terminals');
    for (const view of ['Tasks', 'Log']) {
      await page.getByRole('region', { name: 'Dock' }).getByRole('tab', { name: view }).click();
      await check(page, `dock, ${view}`);
    }
    await page.evaluate(() => (window as unknown as { demo: { drop(): void } }).demo.drop());
    await expect(page.getByRole('alert')).toBeVisible();
    await check(page, 'connection lost');
  });

  test(`axe finds nothing in any dialog, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await demo.show('many');
    await page.getByRole('button', { name: 'Library' }).click();
    await inDialog(check, async () => await page.getByRole('button', { name: 'Evict unused…' }).click(), 'evict unused');
    await choose('More for lago:debian-12', 'Show versions');
    await check(page, 'versions');
    const evict = page.getByRole('button', { name: /^Evict lago:debian-12:/, disabled: false });
    await inDialog(check, async () => await evict.first().click(), 'evict');
    await page.getByRole('tab', { name: 'Repositories' }).click();
    await inDialog(check, async () => await page.getByRole('button', { name: 'Add repository…' }).click(), 'add a repository');

    await page.getByRole('button', { name: 'Package repositories' }).click();
    await inDialog(check, async () => await page.getByRole('button', { name: 'Clean unused…' }).click(), 'clean unused');
    await inDialog(
      check,
      async () => {
        await page.getByRole('button', { name: 'Sync from a file…' }).click();
        await page.getByRole('button', { name: 'Choose…' }).click();
        await expect(page.getByRole('list', { name: 'Sections' })).toBeVisible();
      },
      'sync from a file',
    );

    await page.getByRole('button', { name: 'Environments' }).click();
    await demo.showShop();
    await inDialog(check, async () => await choose('More for web', 'Change…'), 'change a VM');
    await page
      .getByRole('tablist', { name: `Views of ${SHOP}` })
      .getByRole('tab', { name: 'Snapshots' })
      .click();
    await page.getByRole('option').nth(1).click();
    await check(page, 'a snapshot');
    await inDialog(check, async () => await page.getByRole('button', { name: /^Revert \d VMs/ }).click(), 'revert');
    await inDialog(check, async () => await page.getByRole('button', { name: 'Delete' }).click(), 'delete a snapshot');
    await page.getByRole('button', { name: 'Change name, note and tags' }).click();
    await check(page, 'change a snapshot');
    await page.keyboard.press('Escape');
    await page.getByText('Table', { exact: true }).click();
    await expect(page.getByRole('table', { name: 'Snapshots' })).toBeVisible();
    await check(page, 'snapshots as a table');
    await inDialog(check, async () => await page.evaluate(() => window.postMessage({ lago: 'closing' }, location.origin)), 'closing');
    await page.getByRole('main').getByRole('button', { name: 'Stop', exact: true }).click();
    await expect(page.getByRole('timer')).toContainText('power off in');
    await check(page, 'shutting down');
    await page.getByRole('button', { name: 'Power off now' }).click();
    await expect(page.getByRole('main').getByRole('button', { name: 'Start', exact: true })).toBeEnabled();
    await inDialog(check, async () => await choose(`More for ${SHOP}`, 'Export…'), 'export');

    await demo.show('forks');
    await demo.showShop();
    await inDialog(check, async () => await page.getByRole('main').getByRole('button', { name: 'Fork' }).click(), 'fork');
    await page
      .getByRole('tablist', { name: `Views of ${SHOP}` })
      .getByRole('tab', { name: 'Snapshots' })
      .click();
    await expect(page.getByRole('button', { name: 'Fork shop-upgrade of “postgres”' })).toBeVisible();
    await check(page, 'a timeline with forks');
  });
}
