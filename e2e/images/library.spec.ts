import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Locator, type Page, test } from '@playwright/test';
import { destroyEnvironment, dropPlan } from '../support/environment.ts';
import { useScratch } from '../support/prologue.ts';
import type { Scratch } from '../support/scratch.ts';
import { picture } from '../support/screenshots.ts';
import { startTemplateServer, type TemplateServer } from '../support/template-server.ts';
import { openDesktop } from '../support/window.ts';

const MIB = 1024 * 1024;
const SLOW = 256 * 1024;
const FAST = Number.POSITIVE_INFINITY;
let scratch: Scratch;
let server: TemplateServer;

useScratch((made) => {
  scratch = made;
});
test.beforeEach(async () => {
  server = await startTemplateServer();
  scratch = { ...scratch, env: { ...scratch.env, LAGO__INIT__TEMPLATE_REPO_PATH: `${server.url}/repo.json` } };
});
test.afterEach(async () => {
  await server.close();
});

/** Serves an incompressible image of that many MiB as xz, with the checksum of the uncompressed image. */
function serveImage(handle: string, size: number): void {
  const raw = join(scratch.dir, 'image.raw');
  const image = join(scratch.dir, 'image.qcow2');
  writeFileSync(raw, randomBytes(size * MIB));
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, image]);
  server.put(`/${handle}.hash`, createHash('sha1').update(readFileSync(image)).digest('hex'));
  execFileSync('xz', ['-0', '-f', image]);
  server.put(`/${handle}.xz`, readFileSync(`${image}.xz`));
}

/** A repository like a team's own, two of whose images exist. */
function serveRepository(): void {
  const version = (handle: string, day: string, metadata: object): object => ({
    source: 'web',
    handle,
    timestamp: Date.parse(day) / 1000,
    metadata,
  });
  const debian = { title: 'Debian 12 (bookworm)', distro: 'debian12', 'cloud-init': true };
  const fedora = { title: 'Fedora 42', distro: 'fc42', 'cloud-init': true };
  const el9 = { title: 'Alma Linux 9', distro: 'el9', 'cloud-init': true };
  const el7 = { title: 'CentOS 7, minimal', distro: 'el7' };
  server.put(
    '/repo.json',
    JSON.stringify({
      name: 'images',
      sources: { web: { type: 'http', args: { baseurl: server.url } } },
      templates: {
        'debian-12': {
          versions: {
            '20261005': version('debian-12-20261005', '2026-10-05', debian),
            '20260811': version('debian-12-20260811', '2026-08-11', debian),
          },
        },
        'fedora-42': { versions: { '1.14': version('fedora-42', '2026-09-20', fedora) } },
        'alma-9': { versions: { '20260601': version('alma-9', '2026-06-01', el9) } },
        'el7-base': { versions: { v3: version('el7', '2024-06-30', el7) } },
      },
    }),
  );
  serveImage('debian-12-20261005', 6);
  serveImage('fedora-42', 12);
}

const NEWEST = 'images:debian-12:20261005';
const FEDORA = 'images:fedora-42:1.14';

async function showLibrary(page: Page): Promise<void> {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('button', { name: 'Library' }).click();
  await expect(page.getByRole('heading', { name: 'Library', level: 1 })).toBeVisible();
}

/** The row of a template (`REPO:TEMPLATE`) or of a version (`REPO:TEMPLATE:VERSION`). */
function row(page: Page, name: string): Locator {
  return page.getByRole('treegrid', { name: 'Templates' }).getByRole('row', { name, exact: true });
}

function stored(): readonly string[] {
  const store = join(scratch.dir, 'store');
  return existsSync(store) ? readdirSync(store).filter((name) => !/\.(?:lock|part|part\.json)$/.test(name)) : [];
}

async function percentOf(line: Locator): Promise<number> {
  return Number((await line.getByRole('progressbar').getAttribute('aria-valuenow')) ?? 0);
}

test('a template is downloaded with pause, resume and cancel, verified, and evicted', async () => {
  serveRepository();
  server.setRate(SLOW);
  const { page, pageErrors, close } = await openDesktop(scratch);
  await showLibrary(page);
  await expect(page.getByText('Nothing in the store yet')).toBeVisible();
  await expect(row(page, 'images:fedora-42')).toContainText('Fedora 42');
  const version = row(page, FEDORA);
  await row(page, 'images:fedora-42').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  await expect(version).toBeFocused();
  await expect(version).toContainText('not in store');
  await expect(version).toContainText('20 Sep 2026');
  await expect(version).toContainText(`${server.url}/fedora-42`);

  await version.getByRole('button', { name: `Download ${FEDORA}` }).click();
  await expect(version).toContainText('downloading');
  await expect(version).toContainText(/MiB of 12(\.\d)? MiB, [\d.]+ [KM]iB\/s, \d+ s left/);
  await expect.poll(async () => await percentOf(version)).toBeGreaterThan(4);

  await version.getByRole('button', { name: `Pause ${FEDORA}` }).click();
  await expect(version).toContainText('paused');
  await expect(version).toContainText(/at [\d.]+ MiB of 12(\.\d)? MiB/);
  const asked = (): readonly number[] => server.asked.filter(({ path }) => path === '/fedora-42.xz').map(({ from }) => from);
  expect(asked()).toEqual([0]);
  await version.getByRole('button', { name: `Resume ${FEDORA}` }).click();
  await expect(version).toContainText('downloading');
  await expect.poll(asked).toEqual([0, expect.any(Number)]);
  expect(asked()[1]).toBeGreaterThan(0);

  await version.getByRole('button', { name: `Cancel ${FEDORA}` }).click();
  await expect(version).toContainText('not in store');
  expect(stored()).toEqual([]);

  server.setRate(FAST);
  await version.focus();
  await page.keyboard.press('Enter');
  await expect(version).toContainText('in store');
  await expect(version).toContainText('qcow2 · 12 MiB disk');
  await expect(page.getByText(/^1 image in the store · 12\.\d MiB · 12\.\d MiB unused$/)).toBeVisible();
  expect(stored()).toContain(FEDORA);

  await version.getByRole('button', { name: `Verify ${FEDORA}` }).click();
  await expect(version).toContainText('verified just now');

  await version.getByRole('button', { name: `Evict ${FEDORA}` }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('It is downloaded again when one needs it.');
  await dialog.getByRole('button', { name: /^Evict, free 12\.\d MiB$/ }).click();
  await expect(version).toContainText('not in store');
  await expect.poll(stored).toEqual([]);
  expect(pageErrors()).toEqual([]);
  await close();
});

test('an image that an environment uses stays until the environment is gone', async () => {
  serveRepository();
  const { page, pageErrors, close } = await openDesktop(scratch);
  const file = scratch.write(
    'shop.json',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: {
        web: {
          memory: 192,
          vcpu: 1,
          bootstrap: false,
          nics: [{ net: 'front' }],
          disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'debian-12' }],
        },
      },
    }),
  );
  await dropPlan(page, file, ['web']);
  await page.getByRole('button', { name: 'Show in the library' }).click();
  await expect(page.getByRole('textbox', { name: 'Filter templates' })).toHaveValue('images:debian-12');
  await expect(row(page, NEWEST)).toBeVisible();
  await expect(row(page, 'images:fedora-42')).toBeHidden();
  await page.getByRole('tab', { name: 'shop.json' }).click();
  await page.getByRole('textbox', { name: 'Environment name' }).fill('shop');
  await page.getByRole('button', { name: 'Create only' }).click();
  await expect(page.getByRole('heading', { name: 'shop', level: 1 })).toBeVisible({ timeout: 120_000 });

  await showLibrary(page);
  const image = row(page, NEWEST);
  await expect(image).toContainText('in store');
  await expect(image.getByRole('button', { name: 'shop', exact: true })).toBeVisible();
  const evict = image.getByRole('button', { name: `Evict ${NEWEST}` });
  await expect(evict).toBeDisabled();
  await evict.hover();
  await expect(page.getByRole('tooltip')).toHaveText('Used by shop: its disks need it');
  await evict.click({ force: true });
  await expect(page.getByRole('dialog')).toBeHidden();
  await expect(page.getByRole('button', { name: 'Evict unused…' })).toBeDisabled();

  server.setRate(SLOW);
  await page.getByRole('textbox', { name: 'Filter templates' }).press('Escape');
  await row(page, 'images:debian-12').click();
  await row(page, 'images:fedora-42').getByRole('button', { name: 'Download images:fedora-42' }).click();
  await expect.poll(async () => await percentOf(row(page, 'images:fedora-42'))).toBeGreaterThan(9);
  await page.mouse.move(640, 90);
  await picture(page, 'library');
  server.setRate(FAST);
  await expect(row(page, 'images:fedora-42')).toContainText('in store');

  await image.getByRole('button', { name: 'shop', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'shop', level: 1 })).toBeVisible();
  await destroyEnvironment(page, 'shop');
  await showLibrary(page);
  await expect(evict).toBeEnabled();
  await page.getByRole('button', { name: 'Evict unused…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('1 month').click();
  await expect(dialog.getByText('No unused image is that old.')).toBeVisible();
  await expect(dialog.getByRole('button', { name: 'Nothing to evict' })).toBeDisabled();
  await dialog.getByText('Any time').click();
  await expect(dialog.getByRole('listitem')).toHaveText([/Fedora 42/, /Debian 12/]);
  await dialog.getByRole('button', { name: /^Evict 2 images, free 18\.\d MiB$/ }).click();
  await expect(page.getByText('Nothing in the store yet')).toBeVisible();
  await expect.poll(stored).toEqual([]);
  expect(pageErrors()).toEqual([]);
  await close();
});

test('a git repository is added and updated, and a broken one is reported', async () => {
  serveRepository();
  const upstream = join(scratch.dir, 'office');
  const git = (...argv: readonly string[]): void => {
    execFileSync('git', ['-C', upstream, '-c', 'user.name=T', '-c', 'user.email=t@example.org', ...argv], { env: scratch.env });
  };
  const commit = (templates: readonly string[]): void => {
    const versions = { v1: { source: 'disk', handle: 'image', timestamp: 1 } };
    writeFileSync(
      join(upstream, 'office.json'),
      JSON.stringify({
        name: 'office',
        sources: { disk: { type: 'file', args: { root: '.' } } },
        templates: Object.fromEntries(templates.map((name) => [name, { versions }])),
      }),
    );
    git('add', '.');
    git('commit', '--quiet', '--message', 'Change');
  };
  mkdirSync(upstream);
  git('init', '--quiet');
  commit(['desk']);

  const { page, pageErrors, close } = await openDesktop(scratch);
  await showLibrary(page);
  await page.getByRole('tab', { name: 'Repositories' }).click();
  const table = page.getByRole('table', { name: 'Repositories' });
  await expect(table.getByRole('row', { name: 'images' })).toContainText('configured');
  await page.getByRole('button', { name: 'Add repository…' }).click();
  const dialog = page.getByRole('dialog');
  const address = dialog.getByRole('textbox', { name: 'Address of the git repository' });
  await address.fill(`file://${scratch.dir}/nowhere`);
  await address.press('Enter');
  await expect(dialog.getByRole('alert')).toContainText(`Failed to clone the repository file://${scratch.dir}/nowhere`);
  await address.fill(`file://${upstream}`);
  await dialog.getByRole('button', { name: 'Add repository' }).click();
  await expect(dialog).toBeHidden();
  const office = table.getByRole('row', { name: 'office' });
  await expect(office).toContainText('added');
  await expect(office.getByRole('cell').nth(2)).toHaveText('1');

  commit(['desk', 'shelf']);
  await page.getByRole('button', { name: 'Update repositories' }).click();
  await expect(office.getByRole('cell').nth(2)).toHaveText('2');
  await page.getByRole('tab', { name: 'Templates' }).click();
  await page.keyboard.press('/');
  await page.keyboard.type('shelf');
  await expect(page.getByRole('treegrid', { name: 'Templates' }).getByRole('row', { name: 'office:shelf' })).toBeVisible();
  await expect(row(page, 'images:fedora-42')).toBeHidden();

  writeFileSync(join(upstream, 'office.json'), '{');
  git('commit', '--quiet', '--all', '--message', 'Break');
  await page.getByRole('tab', { name: 'Repositories' }).click();
  await page.getByRole('button', { name: 'Update repositories' }).click();
  await expect(page.getByText('The repository office.json cannot be used.')).toBeVisible();
  await expect(table.getByRole('row', { name: 'office.json' })).toContainText('is not valid JSON');
  expect(pageErrors()).toEqual([]);
  await close();
});
