import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Locator, type Page, test } from '@playwright/test';
import { dropFile } from '../support/drop.ts';
import { openEnvironment, showView } from '../support/environment.ts';
import { useFork } from '../support/forks.ts';
import { lago, lagoOk, type Outcome } from '../support/lago.ts';
import { buildDeb, insideNetwork } from '../support/packages.ts';
import type { Scratch } from '../support/scratch.ts';
import { openDesktop } from '../support/window.ts';

/** The Packages tab of an environment: what commands do is seen there too, and the other way round. */

const NAME = 'packages';
/** Of the sample guest. */
const DISTRO = 'lago-sample';
const URL_ = 'http://192.168.200.1:8585/';
let scratch: Scratch;
let build: string;

useFork(NAME, (made) => {
  scratch = made;
  build = join(scratch.dir, 'build');
  mkdirSync(build);
});

const prefix = (): string => join(scratch.workdir, NAME);
const command = async (...argv: string[]): Promise<Outcome> => await lagoOk(scratch, ['--prefix-path', prefix(), ...argv]);
const inGuest = async (vm: string, line: string): Promise<string> => (await command('--ignore-warnings', 'shell', vm, line)).stdout;
/** In the guests' network, what a client gets: its status, 000 when nobody listens. */
function statusOf(path: string): string {
  const curl = ['curl', '--silent', '--output', '/dev/null', '--write-out', '%{http_code}', `${URL_}${path}`];
  const line = '"$@" || true';
  return execFileSync('sh', ['-c', line, 'sh', ...insideNetwork(prefix()), ...curl], { encoding: 'utf8' });
}

async function openTab(): Promise<Page> {
  const { page } = await openDesktop(scratch);
  await openEnvironment(page, NAME);
  await showView(page, NAME, 'Packages');
  return page;
}

const tab = (page: Page): Locator => page.locator('[data-takes-files="true"]');
const serving = (page: Page): Locator => page.getByRole('region', { name: 'Serving' });
const serve = (page: Page): Locator => page.getByRole('switch', { name: 'Serve to the VMs' });
const packages = (page: Page): Locator => page.getByRole('table', { name: 'Packages', exact: true });
const requests = (page: Page): Locator => page.getByRole('table', { name: 'Requests' });
const row = (table: Locator, text: string): Locator => table.getByRole('row').filter({ hasText: text });

async function drop(page: Page, path: string): Promise<void> {
  await dropFile(page, tab(page), path);
}

async function merge(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Merge', exact: true }).click();
}

test('a build is merged, served, fetched by the VMs, and seen by whom', async () => {
  buildDeb(build, 'hello', '1.0');
  const page = await openTab();
  await expect(page.getByRole('button', { name: 'Merge a folder…' })).toBeVisible();
  await drop(page, scratch.write('notes.txt', 'x'));
  await expect(page.getByRole('alert')).toContainText('notes.txt is neither a folder nor a package');
  await drop(page, build);
  await expect(page.getByRole('list', { name: 'Sources in their order' })).toContainText(build);
  await expect(serving(page)).toContainText('Merge packages first');
  await merge(page);
  await expect(row(packages(page), 'hello')).toContainText('1.0');
  await expect(row(page.getByRole('table', { name: 'Merged repositories' }), DISTRO)).toContainText('just now');

  await test.step('a merge of the command line is seen at once', async () => {
    buildDeb(build, 'hello', '1.1');
    await command('repo', 'merge', build);
    await expect(row(packages(page), 'hello')).toContainText('1.1');
    await expect(page.getByText('1 older package left out')).toBeVisible();
  });

  await test.step('the VMs fetch what is served, and each request is shown with its VM', async () => {
    await serve(page).click({ force: true });
    await expect(serving(page)).toContainText(`Served at${URL_}`);
    await expect(serving(page)).toContainText('by a window, until it is closed');
    const fetched = await inGuest('web', `wget -q -O /tmp/p ${URL_}${DISTRO}/all/hello_1.1_all.deb && wc -c </tmp/p`);
    expect(Number(fetched)).toBeGreaterThan(100);
    expect(await inGuest('db', `wget -q -O - ${URL_}${DISTRO}/all/nothing.deb || echo refused`)).toContain('refused');
    await page.getByText(/^Requests \d/).click();
    await expect(row(requests(page), 'hello_1.1_all.deb')).toContainText(/web200 sent/);
    await expect(row(requests(page), 'nothing.deb')).toContainText(/db404 not there/);
    await page.getByRole('combobox', { name: 'Requests of' }).selectOption('db');
    await expect(row(requests(page), 'hello_1.1_all.deb')).toHaveCount(0);
    await page.getByRole('combobox', { name: 'Requests of' }).selectOption('All VMs');
    await page.getByRole('checkbox', { name: 'Failed only' }).check();
    await expect(requests(page).getByRole('row')).toHaveCount(2);
    await page.getByRole('checkbox', { name: 'Failed only' }).uncheck();
    const second = await lago(scratch, ['--prefix-path', prefix(), 'repo', 'serve']);
    expect(second).toMatchObject({ code: 4, stderr: expect.stringContaining('Port 8585 of 192.168.200.1 is in use') });
  });

  await test.step('nobody gets anything once it is switched off', async () => {
    await serve(page).click({ force: true });
    await expect(serving(page)).toContainText('Not served');
    expect(statusOf('')).toBe('000');
  });
});

test('a server of the command line is shown, and ended by the switch', async () => {
  buildDeb(build, 'hello', '1.0');
  await command('repo', 'merge', build);
  const page = await openTab();
  await expect(row(packages(page), 'hello')).toContainText('build');
  const server = lago(scratch, ['--prefix-path', prefix(), 'repo', 'serve']);
  await expect(serving(page)).toContainText('by “lago repo serve” in another process');
  expect(statusOf(`${DISTRO}/Packages`)).toBe('200');
  await serve(page).click({ force: true });
  await expect(serving(page)).toContainText('Not served');
  expect((await server).stderr).toContain('The server has ended');
  expect(statusOf('')).toBe('000');

  await test.step('one that ends is noticed', async () => {
    let child: ChildProcess | undefined;
    const ended = lago(scratch, ['--prefix-path', prefix(), 'repo', 'serve'], { onStart: (started) => (child = started) });
    await expect(serving(page)).toContainText('by “lago repo serve”');
    child?.kill('SIGINT');
    await ended;
    await expect(serving(page)).toContainText('Not served');
  });
});

test('what goes wrong is said, and the environment’s stop ends the server', async () => {
  buildDeb(build, 'hello', '1.0');
  const page = await openTab();
  await drop(page, build);
  await page.getByRole('textbox', { name: 'Source to add' }).fill('relative/path');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(page.getByText('Write an absolute path or pattern')).toBeVisible();
  await page.getByRole('textbox', { name: 'Source to add' }).fill(join(scratch.dir, 'missing'));
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await merge(page);
  await expect(page.getByTestId('task').getByRole('alert')).toContainText(`There is no file or folder ${join(scratch.dir, 'missing')}`);
  await page.getByRole('button', { name: `Leave out ${join(scratch.dir, 'missing')}` }).click();
  await merge(page);
  await expect(row(packages(page), 'hello')).toBeVisible();
  await serve(page).click({ force: true });
  await expect(serving(page)).toContainText('Served at');
  await command('stop');
  await expect(serving(page)).toContainText('Start the environment first');
  await expect(serve(page)).not.toBeChecked();
  await command('start');
  await expect(serving(page)).toContainText('Not served');
  await serve(page).click({ force: true });
  await expect(serving(page)).toContainText('Served at');
});

test('what a killed program served is shown by the next one, and ended by its switch', async () => {
  buildDeb(build, 'hello', '1.0');
  await command('repo', 'merge', build);
  const first = await openDesktop(scratch);
  await openEnvironment(first.page, NAME);
  await showView(first.page, NAME, 'Packages');
  await serve(first.page).click({ force: true });
  await expect(serving(first.page)).toContainText('Served at');
  await first.kill();
  const page = await openTab();
  await expect(serving(page)).toContainText('Served at');
  expect(statusOf('')).toBe('200');
  await serve(page).click({ force: true });
  await expect(serving(page)).toContainText('Not served');
  expect(statusOf('')).toBe('000');
});
