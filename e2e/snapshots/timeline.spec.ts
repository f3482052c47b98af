import { expect, type Locator, type Page, test } from '@playwright/test';
import { type DemoPage, openDemoPage, SHOP } from '../support/demo-page.ts';
import { showView } from '../support/environment.ts';
import { picture } from '../support/screenshots.ts';

/** The timeline of snapshots on the page's demo engine, which needs no VM. */
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

async function showTimeline(scenario: string): Promise<void> {
  await demo.show(scenario);
  await demo.showShop();
  await showView(page, SHOP, 'Snapshots');
  await expect(point().first()).toBeVisible();
}

/** Snapshots of the picture, or the one of this name. */
function point(name?: string): Locator {
  return name === undefined ? page.getByRole('option') : page.getByRole('option', { name: new RegExp(`^${name},`) });
}

function selected(): Locator {
  return page.getByRole('option', { selected: true });
}

/** Middle of an element, px from the left edge of the window. */
async function middle(element: Locator): Promise<number> {
  const box = await element.boundingBox();
  if (box === null) throw new Error('It is not visible.');
  return box.x + box.width / 2;
}

/** Pairs of texts of the picture that overlap. */
async function overlaps(): Promise<readonly string[]> {
  return await page.getByTestId('timeline').evaluate((timeline) => {
    const texts = [...timeline.querySelectorAll<HTMLElement | SVGTextElement>('[role="option"] > [aria-hidden="true"], text, button')]
      .filter((element) => element.textContent !== '' && element.closest('[aria-selected="true"]') === null)
      .map((element) => ({ text: element.textContent ?? '', box: element.getBoundingClientRect() }));
    return texts.flatMap(({ text, box }, index) =>
      texts
        .slice(index + 1)
        .filter(
          ({ box: other }) => box.left < other.right && other.left < box.right && box.top < other.bottom - 1 && other.top < box.bottom - 1,
        )
        .map(({ text: other }) => `${text} / ${other}`),
    );
  });
}

for (const scenario of ['points-1', 'forks', 'points-200']) {
  test(`texts of a timeline never overlap, whatever the zoom: ${scenario}`, async () => {
    await showTimeline(scenario);
    if (scenario === 'forks') await picture(page, 'timeline');
    expect(await overlaps()).toEqual([]);
    await selected().focus();
    for (const keys of ['---', '++++++++', '0']) {
      for (const key of keys) await page.keyboard.press(key);
      expect(await overlaps(), keys).toEqual([]);
    }
  });
}

test('with 200 snapshots only what can be seen is in the page, and keys reach all of them', async () => {
  await showTimeline('points-200');
  expect(await point().count()).toBeLessThan(120);
  await expect(selected()).toHaveAttribute('aria-setsize', '200');
  await selected().focus();
  await page.keyboard.press('Home');
  await expect(selected()).toHaveAttribute('aria-posinset', '1');
  await expect(selected()).toBeFocused();
  await expect(selected()).toBeInViewport();
  for (let step = 0; step < 3; step += 1) await page.keyboard.press('ArrowRight');
  await expect(selected()).toHaveAttribute('aria-posinset', '4');
  await page.keyboard.press('End');
  await expect(selected()).toHaveAttribute('aria-posinset', '200');
  await expect(selected()).toBeInViewport();
});

test('what other programs have done is told at the present, at the point and at the VM', async () => {
  await showTimeline('drift');
  await page.getByRole('button', { name: 'Now, changed' }).hover();
  await expect(page.getByRole('tooltip')).toContainText('web: Another program has put disk vda on /w/images/web.outside');
  await point('postgres').click();
  await expect(page.getByRole('row', { name: 'db' })).toContainText('files changed');
  await expect(page.getByRole('button', { name: 'Revert 3 VMs' })).toBeDisabled();
  await showView(page, SHOP, 'VMs');
  await page.getByRole('row', { name: 'web' }).getByRole('button', { name: 'running' }).hover();
  await expect(page.getByRole('tooltip')).toContainText('Another program has put disk vda');
});

test('zooming keeps the selected snapshot, or what is under the pointer, where it is', async () => {
  await showTimeline('points-200');
  // In the middle, where there is something to scroll on both sides.
  await page.getByTestId('timeline').evaluate((timeline) => timeline.scrollTo({ left: timeline.scrollWidth / 2 }));
  await page.getByTestId('timeline').click({ position: { x: 400, y: 200 } });
  await expect(selected()).not.toHaveAttribute('aria-posinset', '200');
  const before = await middle(selected());
  await page.keyboard.press('+');
  await expect.poll(async () => await middle(selected())).toBeCloseTo(before, 0);
  await expect(page.getByRole('button', { name: 'Zoom out' })).toBeEnabled();

  const target = selected().locator('[data-mark]');
  const x = await middle(target);
  await target.hover();
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, 240);
  await page.keyboard.up('Control');
  await expect.poll(async () => await middle(target)).toBeCloseTo(x, 0);
});

test('keys act on the selected snapshot', async () => {
  await showTimeline('demo');
  await point('installed').click();
  const dialog = page.getByRole('dialog');
  await page.keyboard.press('Enter');
  await expect(dialog).toContainText(`Revert ${SHOP} to “installed”?`);
  await expect(dialog.getByLabel('Snapshot the present first')).toBeChecked();
  await expect(dialog.getByRole('row', { name: /^app down goes on from that moment/ })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(point('installed')).toBeFocused();
  await page.keyboard.press('f');
  await expect(dialog.getByLabel('It goes on from')).toHaveValue('installed');
  await page.keyboard.press('Escape');
  await page.keyboard.press('c');
  await expect(dialog).toContainText(`What changed in ${SHOP}?`);
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await page.keyboard.press('Delete');
  await expect(dialog).toContainText(/Gives back\s*about/);
  await page.keyboard.press('Escape');
  await page.keyboard.press('p');
  await expect(point('installed')).toContainText('pinned');
  await page.keyboard.press('n');
  await expect(page.getByRole('textbox', { name: 'Snapshot name' })).toBeFocused();
});

test('a snapshot gets another name, tags and a note, and stays selected', async () => {
  await showTimeline('demo');
  await point('postgres').click();
  await page.keyboard.press('F2');
  const form = page.getByRole('form', { name: 'Change postgres' });
  await expect(form.getByLabel('Name')).toBeFocused();
  await form.getByLabel('Name').fill('in stalled');
  await expect(form.getByRole('button', { name: 'Save' })).toBeDisabled();
  await form.getByLabel('Name').fill('postgres-16');
  await form.getByLabel('Tags').fill('release, checked');
  await form.getByLabel('Note').fill('Two lines\nof note');
  await page.keyboard.press('Control+Enter');
  const details = page.getByRole('region', { name: 'Snapshot postgres-16' });
  await expect(details).toContainText('Two lines');
  await expect(details).toContainText('checked');
  await expect(selected()).toHaveAttribute('data-name', 'postgres-16');
});

test('a branch, or all but pinned, is deleted after saying what goes', async () => {
  await showTimeline('demo');
  await point('try-mariadb').click({ button: 'right' });
  await page.getByRole('menuitem', { name: 'Delete with what came from it (2)…' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('try-mariadb, mariadb-tuned');
  await dialog.getByRole('button', { name: 'Delete 2 snapshots' }).click();
  await expect(point('mariadb-tuned')).toBeHidden();
  await page.getByRole('button', { name: 'More for all snapshots' }).click();
  await page.getByRole('menuitem', { name: 'Delete all but pinned…' }).click();
  await dialog.getByRole('button', { name: /^Delete \d snapshots/ }).click();
  await expect(point()).toHaveCount(1);
  await expect(point('fresh')).toContainText('pinned');
});

test('forks get tabs, and timelines lead from one to the other', async () => {
  await showTimeline('demo');
  await point('postgres').click();
  const details = page.getByRole('region', { name: 'Snapshot postgres' });
  await details.getByRole('button', { name: 'Fork', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name of the fork').fill('try');
  await dialog.getByLabel('How many').fill('0');
  await expect(dialog.getByRole('button', { name: /^Fork 3 VMs/ })).toBeDisabled();
  await dialog.getByLabel('How many').fill('2');
  await dialog.getByRole('button', { name: 'Fork 3 VMs, 2 times' }).click();
  const progress = page.getByRole('region', { name: 'Progress per VM' });
  await expect(progress.getByRole('listitem').filter({ hasText: 'web' })).toBeVisible();
  const tabs = page.getByRole('tablist', { name: 'Open environments' });
  await expect(tabs.getByRole('tab', { name: 'try-2' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'try-1', level: 1 })).toBeVisible();

  await showView(page, 'try-1', 'Snapshots');
  await page.getByRole('button', { name: `Forked from ${SHOP} at “postgres”` }).click();
  await expect(page.getByRole('heading', { name: SHOP, level: 1 })).toBeVisible();
  await page.getByRole('button', { name: '2 forks of “postgres”' }).click();
  await page.getByRole('menuitem', { name: 'try-2' }).click();
  await expect(page.getByRole('heading', { name: 'try-2', level: 1 })).toBeVisible();

  await showView(page, 'try-2', 'Snapshots');
  await page.getByText('Table', { exact: true }).click();
  await page.getByRole('main').getByRole('button', { name: SHOP, exact: true }).click();
  await page.getByRole('main').getByRole('button', { name: 'try-1', exact: true }).first().click();
  await expect(page.getByRole('heading', { name: 'try-1', level: 1 })).toBeVisible();
});

test('the history is there as a table with the same keys, also in the next window', async () => {
  await showTimeline('demo');
  await page.getByText('Table', { exact: true }).click();
  const table = page.getByRole('table', { name: 'Snapshots' });
  await expect(table.getByRole('row')).toHaveCount(8);
  await expect(page.getByRole('table', { name: 'Events' })).toContainText('Deploy app failed: setup_app.sh ended with 3');
  await table.getByRole('row', { name: 'before-upgrade', exact: true }).focus();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('region', { name: 'Snapshot before-revert' })).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog')).toContainText(`Revert ${SHOP} to “before-revert”?`);
  await page.keyboard.press('Escape');
  await page.reload();
  await demo.showShop();
  await showView(page, SHOP, 'Snapshots');
  await expect(table).toBeVisible();
});
