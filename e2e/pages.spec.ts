import { expect, type Locator, type Page, test } from '@playwright/test';
import { type DemoPage, openDemoPage, SHOP } from './support/demo-page.ts';
import { picture } from './support/screenshots.ts';

/** Behaviour of the page alone, on its demo engine, which needs no VM. */
let demo: DemoPage;
let page: Page;

test.beforeAll(async () => {
  demo = await openDemoPage();
  page = demo.page;
});
test.afterAll(async () => await demo.close());
test.beforeEach(async () => {
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await demo.resize(1280, 820);
});

function dock(): Locator {
  return page.getByRole('region', { name: 'Dock' });
}

async function dockHeight(): Promise<number> {
  return (await dock().boundingBox())?.height ?? 0;
}

/** Name of the focused element; `nothing` when no element has the focus. */
async function focused(): Promise<string> {
  return await page.evaluate(() => {
    const { activeElement } = document;
    if (activeElement === null || activeElement === document.body) return 'nothing';
    return activeElement.getAttribute('aria-label') ?? (activeElement as HTMLElement).innerText ?? activeElement.tagName;
  });
}

test('a dock that was closed while the window grew opens at its own height', async () => {
  await demo.resize(900, 600);
  await demo.show('demo');
  await demo.showShop();
  await demo.resize(1600, 1000);
  await demo.openTerminal();
  expect(await dockHeight()).toBe(280);
  await page.keyboard.press('Control+`');
  expect(await dockHeight()).toBe(33);
  // Like zooming to 200 % and back.
  await demo.resize(640, 410);
  await demo.resize(1280, 820);
  await page.getByRole('button', { name: 'Show the dock' }).click();
  expect(await dockHeight()).toBe(280);
  // A window without room for the dock does not change its height once there is room again.
  await demo.resize(640, 410);
  expect(await dockHeight()).toBeLessThan(200);
  await demo.resize(1280, 820);
  expect(await dockHeight()).toBe(280);
});

test('the dock is resized, closed and opened by pointer and by keys, and keeps its height', async () => {
  await demo.show('demo');
  const separator = page.getByRole('separator', { name: 'Height of the dock' });
  await page.getByRole('button', { name: 'Show the dock' }).click();
  async function drag(by: number): Promise<void> {
    const box = await separator.boundingBox();
    if (box === null) throw new Error('The separator is not visible.');
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x, y + by, { steps: 4 });
    await page.mouse.up();
  }
  await drag(-100);
  expect(Math.round(await dockHeight())).toBe(380);
  await drag(350);
  expect(await dockHeight()).toBe(33);
  await separator.focus();
  await page.keyboard.press('Enter');
  expect(Math.round(await dockHeight())).toBe(380);
  await page.keyboard.press('ArrowDown');
  expect(Math.round(await dockHeight())).toBe(356);
  await page.reload();
  await page.getByRole('button', { name: 'Show the dock' }).click();
  expect(Math.round(await dockHeight())).toBe(356);
});

test('focus returns to where it was after menus, dialogs and the dock', async () => {
  await demo.show('demo');
  await demo.showShop();
  const more = `More for ${SHOP}`;
  await page.getByRole('button', { name: more }).click();
  await expect(page.getByRole('menuitem').first()).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('menu')).toBeHidden();
  expect(await focused()).toBe(more);

  // Menu, then the dialog that it opens.
  await page.keyboard.press('Enter');
  await page.keyboard.press('d');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog').getByRole('textbox')).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  expect(await focused()).toBe(more);

  // A context menu of a row.
  await page.getByRole('row', { name: 'db', exact: true }).focus();
  await page.keyboard.press('ContextMenu');
  await expect(page.getByRole('menuitem').first()).toBeFocused();
  await page.keyboard.press('Escape');
  expect(await focused()).toBe('db');

  // The dock, from a terminal.
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('terminal').getByRole('textbox')).toBeFocused();
  await page.keyboard.press('Control+`');
  await expect(page.getByRole('row', { name: 'db', exact: true })).toBeFocused();
});

test('focus moves to a neighbour when the focused element is removed', async () => {
  await demo.show('demo');
  await demo.showPlan();
  await page.getByRole('button', { name: 'Environments' }).click();
  await demo.showShop();
  const tabs = page.getByRole('tablist', { name: 'Open environments' });
  await tabs.getByRole('tab', { name: SHOP }).focus();
  await page.keyboard.press('Delete');
  await expect(tabs.getByRole('tab', { name: 'init.json' })).toBeFocused();

  // The task replaces the buttons.
  await page.getByRole('button', { name: 'Create and start' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('task')).toBeVisible();
  expect(await focused()).not.toBe('nothing');
  await expect(page.getByRole('table', { name: 'VMs' })).toBeVisible({ timeout: 60_000 });
  expect(await focused()).not.toBe('nothing');
});

test('a VM is changed by keys alone, and the focus stays in the dialog', async () => {
  await demo.resize(900, 600);
  await demo.show('demo');
  await demo.showShop();
  await page.getByRole('button', { name: 'More for web' }).click();
  await page.getByRole('menuitem', { name: 'Change…' }).press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Change web' });
  const memory = dialog.getByRole('textbox', { name: 'Memory in MiB' });
  await expect(memory).toBeFocused();
  await memory.fill('63');
  await page.keyboard.press('Enter');
  await expect(dialog).toContainText('A number from 64 to 2048; more when the VM is off');
  await memory.fill('1024');
  await page.keyboard.press('Enter');
  await expect(dialog).toContainText('The guest has 1024 of its 2048 MiB');
  await expect(memory).toBeFocused();

  const disks = dialog.getByRole('region', { name: 'Disks' });
  const add = disks.getByRole('button', { name: 'Add disk' });
  await add.press('Enter');
  const disk = disks.getByRole('listitem', { name: 'Disk vdb' });
  await expect(disk).toBeVisible();
  await expect(add).toBeFocused();
  await disk.getByRole('button', { name: 'Remove disk vdb…' }).press('Enter');
  await expect(disk.getByRole('button', { name: 'Keep' })).toBeFocused();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(disk).toBeHidden();
  await expect(disks).toBeFocused();

  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  expect(await focused()).toBe('More for web');
});

/** Buttons, tabs and fields that are cut off at an edge or whose text is. */
async function cut(): Promise<readonly string[]> {
  return await page.evaluate(() => {
    const places = [...document.querySelectorAll<HTMLElement>('button, input, [role="tab"], h1')];
    return places
      .filter((place) => {
        const box = place.getBoundingClientRect();
        if (box.width <= 1 || place.closest('[inert], [aria-hidden="true"]') !== null || !place.checkVisibility()) return false;
        const label = place.querySelector<HTMLElement>('.mantine-Button-label');
        return box.right > window.innerWidth + 1 || box.left < -1 || (label !== null && label.scrollWidth > label.clientWidth + 1);
      })
      .map((place) => place.getAttribute('aria-label') ?? place.innerText);
  });
}

test('in a small window two rows stand above the open dock, and at twice the size nothing is cut', async () => {
  await demo.resize(900, 600);
  await demo.show('demo');
  await demo.showShop();
  await demo.openTerminal();
  const top = (await dock().boundingBox())?.y ?? 0;
  for (const vm of ['web', 'db']) {
    const row = await page.getByRole('row', { name: vm, exact: true }).boundingBox();
    expect((row?.y ?? 0) + (row?.height ?? 0), vm).toBeLessThanOrEqual(top);
  }
  // 1280 × 820 and 900 × 600 at 200 %.
  for (const [width, height] of [
    [640, 410],
    [450, 300],
  ] as const) {
    await demo.resize(width, height);
    await demo.show('many');
    await expect(page.getByRole('table', { name: 'Environments' })).toBeVisible();
    expect(await cut(), `home ${width}`).toEqual([]);
    await page.getByRole('button', { name: 'Library' }).click();
    await expect(page.getByRole('textbox', { name: 'Filter templates' })).toBeVisible();
    expect(await cut(), `library ${width}`).toEqual([]);
    await page.getByRole('button', { name: 'Package repositories' }).click();
    await expect(page.getByRole('textbox', { name: 'Filter package repositories' })).toBeVisible();
    expect(await cut(), `package repositories ${width}`).toEqual([]);
    await page.getByRole('button', { name: 'Machine checks', exact: true }).click();
    await expect(page.getByRole('list', { name: 'Checks' })).toBeVisible();
    expect(await cut(), `machine ${width}`).toEqual([]);
    await demo.showPlan();
    expect(await cut(), `plan ${width}`).toEqual([]);
    await page.getByRole('button', { name: 'Environments' }).click();
    await demo.showShop();
    for (const view of ['Networks', 'Snapshots', 'Deploy', 'Activity', 'VMs']) {
      await page
        .getByRole('tablist', { name: `Views of ${SHOP}` })
        .getByRole('tab', { name: view })
        .click();
      expect(await cut(), `${view} ${width}`).toEqual([]);
    }
    await demo.openTerminal();
    expect(await cut(), `terminal ${width}`).toEqual([]);
  }
});

test('rows show what VMs use, with rates in a tooltip, while the window can be seen', async () => {
  await demo.resize(900, 600);
  await demo.show('demo');
  await demo.showShop();
  const row = page.getByRole('row', { name: 'web', exact: true });
  const busy = row.getByRole('button', { name: /^Processor use of web: \d+ %$/ });
  await expect(busy).toBeVisible();
  await expect(row).toContainText(/2 GiB\s*\d+ MiB used/);
  const table = page.getByRole('table', { name: 'VMs' });
  expect(await table.evaluate(({ parentElement }) => (parentElement?.scrollWidth ?? 0) - (parentElement?.clientWidth ?? 0))).toBe(0);
  const first = await busy.textContent();
  await expect(busy).not.toHaveText(first ?? '');
  await busy.focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('tooltip')).toContainText(/Disks read.*\/s.*Disks written.*\/s.*Network in.*\/s.*Network out.*\/s/);

  async function seen(state: DocumentVisibilityState): Promise<void> {
    await page.evaluate((value) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  }
  await seen('hidden');
  await expect(busy).toHaveCount(0);
  await seen('visible');
  await expect(busy).toBeVisible();
});

test('menus begin with an action and keep Destroy, which has no button of its own', async () => {
  await demo.show('demo');
  await demo.showShop();
  await expect(page.getByRole('main').getByRole('button', { name: /^Destroy/ })).toHaveCount(0);
  await page.getByRole('button', { name: `More for ${SHOP}` }).click();
  const items = page.getByRole('menu').getByRole('menuitem');
  await expect(items.first()).toHaveAttribute('data-divided', 'false');
  await expect(items.last()).toHaveText('Destroy…');
});

test('an environment whose libvirt does not answer says so everywhere and does not suggest destroying', async () => {
  await demo.show('unusable');
  await expect(page.getByRole('row', { name: SHOP })).toContainText('reconnecting…');
  await demo.showShop();
  await expect(page.getByRole('main').getByRole('status')).toContainText('does not answer. Reconnecting…');
  await expect(page.getByRole('main')).not.toContainText(/destroy/i);
  await expect(page.getByRole('main').locator('header')).toContainText('reconnecting…');
  await expect(page.getByRole('tab', { name: SHOP }).getByRole('img', { name: 'reconnecting…' })).toBeVisible();
  await expect(page.getByRole('contentinfo')).toContainText('reconnecting…');
  await expect(page.getByRole('row', { name: 'web', exact: true })).toContainText('unknown');
  await expect(page.getByRole('main').getByRole('button', { name: 'Start', exact: true })).toBeDisabled();
  await expect(page.getByRole('main').getByRole('button', { name: 'Power off', exact: true })).toBeEnabled();
});

test('the Deploy view shows the script that failed; arrows select another, and running it again follows the deploy', async () => {
  await demo.show('demo');
  await demo.showShop();
  await page
    .getByRole('tablist', { name: `Views of ${SHOP}` })
    .getByRole('tab', { name: 'Deploy' })
    .click();
  const scripts = page.getByRole('table', { name: 'Deploy scripts' });
  const output = page.getByRole('log', { name: 'Output' });
  await expect(scripts.getByRole('row', { name: 'setup_site.sh on web' })).toContainText('failed with status 3');
  await expect(output).toContainText('host not found in upstream "app"');
  await picture(page, 'deploy-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture(page, 'deploy-dark');
  await scripts.getByRole('row', { name: 'setup_site.sh on web' }).focus();
  await page.keyboard.press('ArrowDown');
  await expect(output).toHaveText('It has not run yet.');
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('region', { name: 'Output of setup_db.sh on db' })).toBeVisible();
  await expect(output).toContainText('Only the end is shown.');
  await expect(output).toContainText('Unpacking package-400 (1.99-2+deb12u1) …');

  // The deploy excludes no other action.
  await scripts.getByRole('button', { name: 'Run again from setup_site.sh on web' }).click();
  await expect(page.getByRole('group', { name: `Under way: Deploy ${SHOP}` })).toBeVisible();
  await expect(page.getByRole('main').getByRole('button', { name: 'Stop', exact: true })).toBeEnabled();
  await expect(page.getByRole('button', { name: 'Run all scripts' })).toBeDisabled();
  await page.getByRole('button', { name: 'Cancel the deploy' }).click();
  await expect(scripts.getByRole('row', { name: 'setup_site.sh on web' })).toContainText('cancelled');

  await page.getByRole('button', { name: 'Environments' }).click();
  await page.getByRole('table', { name: 'Environments' }).getByText('ovirt-4.0', { exact: true }).click();
  await page.getByRole('tablist', { name: 'Views of ovirt-4.0' }).getByRole('tab', { name: 'Deploy' }).click();
  await expect(page.getByRole('heading', { name: 'No deploy scripts' })).toBeVisible();
  await picture(page, 'deploy-empty');
});
