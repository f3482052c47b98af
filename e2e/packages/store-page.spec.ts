import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Locator, type Page, test } from '@playwright/test';
import { openEnvironment, showView } from '../support/environment.ts';
import { lagoOk } from '../support/lago.ts';
import { useScratch } from '../support/prologue.ts';
import type { Scratch } from '../support/scratch.ts';
import { picture } from '../support/screenshots.ts';
import { openDesktop } from '../support/window.ts';
import { debArchive, type Package, type RepositoryServer, rpm, rpmRepository, startRepositoryServer } from './repositories.test-support.ts';

/** The page of the shared store of package repositories, on real repositories of a server on loopback. Needs no VM. */
const MIB = 1024 * 1024;
let scratch: Scratch;
let server: RepositoryServer;

useScratch((made) => {
  scratch = made;
});
test.beforeEach(async () => {
  server = await startRepositoryServer();
});
test.afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

/** Writes a .repo file with these sections; one that fails is not tried again. */
function repoFile(...ids: readonly string[]): string {
  return scratch.write('packages.repo', ids.map((id) => `[${id}]\nbaseurl=${server.url}\nretries=1\ntimeout=60\ngpgcheck=0\n`).join('\n'));
}

async function showPage(page: Page): Promise<void> {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('button', { name: 'Package repositories' }).click();
  await expect(page.getByRole('heading', { name: 'Package repositories', level: 1 })).toBeVisible();
}

function row(page: Page, name: string): Locator {
  return page.getByRole('treegrid', { name: 'Package repositories' }).getByRole('row', { name, exact: true });
}

/** Opens the dialog with a file; its sections are shown. */
async function openFile(page: Page, file: string): Promise<Locator> {
  await page.getByRole('button', { name: 'Sync from a file…' }).first().click();
  const dialog = page.getByRole('dialog', { name: 'Synchronise from a file' });
  await dialog.getByRole('textbox', { name: '.repo file or apt sources' }).fill(file);
  await expect(dialog.getByRole('list', { name: 'Sections' })).toBeVisible();
  return dialog;
}

async function syncSection(page: Page, file: string, id: string): Promise<void> {
  const dialog = await openFile(page, file);
  await dialog.getByRole('checkbox', { name: id }).check();
  await dialog.getByRole('button', { name: 'Sync 1 repository' }).click();
  await expect(dialog).toBeHidden();
}

const store = (): string => join(scratch.dir, 'reposync');
const stored = (): readonly string[] => (existsSync(store()) ? readdirSync(store()).filter((name) => name !== '.lago') : []);

test('sections of a file are explained and chosen, and what is new is shown, also from other programs and after a restart', async () => {
  server.serve(rpmRepository([rpm('one', '1'), rpm('two', '1')]));
  const file = repoFile('base-el9', 'base-fc41', 'tools');
  const first = await openDesktop(scratch);
  let { page } = first;
  await showPage(page);
  await expect(page.getByText('No package repositories yet')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Sync all' })).toBeDisabled();

  const dialog = await openFile(page, file);
  await expect(dialog.getByText('0 of 3 sections will be synchronised.')).toBeVisible();
  await expect(dialog.getByText('Its id ends in “-el9”, but no distribution of a VM is known.')).toBeVisible();
  await dialog.getByRole('button', { name: 'el9' }).click();
  await expect(dialog.getByRole('checkbox', { name: 'base-el9' })).toBeChecked();
  await expect(dialog.getByText('Its id ends in “-el9”, which is a distribution of the VMs.')).toBeVisible();
  await expect(dialog.getByText('Its id ends in “-fc41”, but the distribution of the VMs is el9.')).toBeVisible();
  await dialog.getByRole('checkbox', { name: 'tools' }).check();
  await expect(dialog.getByText('You have chosen it.')).toBeVisible();
  expect(server.requests).toEqual([]);
  await dialog.getByRole('button', { name: 'Sync 2 repositories' }).click();
  const el9 = row(page, 'base-el9');
  await expect(el9).toContainText('synchronised');
  await expect(el9).toContainText('2 new · 600 B fetched');
  await expect(row(page, 'tools')).toContainText('synchronised');

  server.serve(rpmRepository([rpm('one', '2'), rpm('two', '1')]));
  await el9.getByRole('button', { name: 'Sync base-el9' }).click();
  await expect(el9).toContainText('1 new, 1 gone');
  await el9.focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('list', { name: 'New packages of base-el9' })).toContainText('one-2-1.noarch');
  await expect(page.getByRole('list', { name: 'Gone packages of base-el9' })).toContainText('one-1-1.noarch');
  await page.keyboard.press('ArrowLeft');
  await expect(page.getByRole('list', { name: 'New packages of base-el9' })).toBeHidden();

  await lagoOk(scratch, ['repo', 'sync', '--distro', 'fc41', file]);
  await expect(row(page, 'base-fc41')).toContainText('synchronised');
  expect(first.pageErrors()).toEqual([]);
  await first.close();

  const second = await openDesktop(scratch);
  page = second.page;
  await showPage(page);
  await expect(row(page, 'base-el9')).toContainText('1 new, 1 gone');
  await row(page, 'base-el9').click();
  await expect(page.getByRole('list', { name: 'New packages of base-el9' })).toContainText('one-2-1.noarch');

  await page.keyboard.press('/');
  await page.keyboard.type('fc41');
  await expect(row(page, 'base-el9')).toBeHidden();
  await page.keyboard.press('Escape');
  await row(page, 'tools').focus();
  await page.keyboard.press('Delete');
  const remove = page.getByRole('dialog', { name: 'Remove tools?' });
  await remove.getByRole('button', { name: /^Remove it, free 600 B$/ }).click();
  await expect(row(page, 'tools')).toBeHidden();
  await page.getByRole('button', { name: 'Clean unused…' }).click();
  const clean = page.getByRole('dialog', { name: 'Clean unused package repositories' });
  await expect(clean.getByRole('listitem')).toHaveText([/^base-el9/, /^base-fc41/]);
  await clean.getByRole('button', { name: 'Keep them' }).click();
  expect(stored()).toEqual(['base-el9', 'base-fc41']);
  await page.getByRole('button', { name: 'Clean unused…' }).click();
  await clean.getByRole('button', { name: /^Remove 2 repositories, free 1\.2 KiB$/ }).click();
  await expect(page.getByText('No package repositories yet')).toBeVisible();
  expect(stored()).toEqual([]);
  expect(second.pageErrors()).toEqual([]);
  await second.close();
});

/** Serves a large package that comes only to its half, and returns what was asked for it. */
function serveStalling(large: Package): (string | undefined)[] {
  server.serve(rpmRepository([rpm('small', '1'), large]));
  server.fail((path) => (path === large.path ? { kind: 'stall', share: 0.5 } : undefined));
  const ranges: (string | undefined)[] = [];
  server.watch((request) => {
    if ((request.url ?? '').endsWith(large.path)) ranges.push(request.headers.range);
  });
  return ranges;
}

test('a synchronisation is paused, goes on where it was, and is cancelled and taken up again', async () => {
  const large = rpm('large', '1', 4 * MIB);
  const ranges = serveStalling(large);
  const file = repoFile('base-el9');
  const { page, pageErrors, close } = await openDesktop(scratch);
  await showPage(page);
  await syncSection(page, file, 'base-el9');
  const repo = row(page, 'base-el9');
  await expect(repo).toContainText('synchronising');
  await expect(repo).toContainText(/1 of 2 packages, [\d.]+ (?:B|KiB|MiB) of 4(?:\.0)? MiB/);
  const parts = join(store(), '.lago/base-el9/parts');
  await expect.poll(() => existsSync(parts) && readdirSync(parts).length).toBe(1);

  await repo.getByRole('button', { name: 'Pause base-el9' }).click();
  await expect(repo).toContainText('paused');
  expect(ranges).toEqual([undefined]);
  await repo.getByRole('button', { name: 'Resume base-el9' }).click();
  await expect(repo).toContainText('synchronising');
  await expect.poll(() => ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d+-$/)]);

  await repo.getByRole('button', { name: 'More for base-el9' }).click();
  await page.getByRole('menuitem', { name: 'Show its task' }).click();
  await expect(page.getByRole('region', { name: 'Dock' })).toContainText('Synchronise base-el9');
  await page.keyboard.press('Control+`');
  await repo.getByRole('button', { name: 'Cancel base-el9' }).click();
  await expect(repo).toContainText('its first sync was cancelled; what has arrived is kept');

  server.fail(undefined);
  await page.getByRole('button', { name: 'Sync all' }).click();
  await expect(repo).toContainText('synchronised');
  expect(ranges).toHaveLength(3);
  expect(ranges[2]).toMatch(/^bytes=[1-9]\d+-$/);
  await expect(page.getByText('1 repository · 4 MiB · 4 MiB unused')).toBeVisible();
  expect(pageErrors()).toEqual([]);
  await close();
});

test('why a synchronisation fails is on screen, and stays until one succeeds', async () => {
  server.serve(debArchive('tool', 'other'));
  const source = `deb [trusted=yes lago-name=local lago-distro=debian12] ${server.url} test main\n`;
  const apt = scratch.write('local.list', source);
  const file = repoFile('base-el9', 'extra-el9');
  const { page, pageErrors, close } = await openDesktop(scratch);
  await showPage(page);
  await syncSection(page, apt, 'local-debian12');
  await expect(row(page, 'local-debian12')).toContainText('synchronised');
  await expect(row(page, 'local-debian12')).toContainText('2 new');

  const packages = ['alpha', 'beta', 'gamma'].map((name) => rpm(name, '1', 700_000));
  server.serve(rpmRepository(packages));
  await syncSection(page, file, 'extra-el9');
  await expect(row(page, 'extra-el9')).toContainText('3 new');
  server.fail(() => ({ kind: 'status', status: 503 }));
  await syncSection(page, file, 'base-el9');
  const repo = row(page, 'base-el9');
  await expect(repo).toContainText('sync failed');
  await expect(repo).toContainText('the server answers with status 503');
  await repo.getByRole('button', { name: 'the server answers with status 503' }).click();
  const problem = page.getByRole('group', { name: 'The last sync failed' });
  await expect(problem).toContainText(`${server.url}repodata/repomd.xml cannot be fetched: the server answers with status 503.`);
  await expect(problem).toContainText('what was fetched is kept');
  await row(page, 'extra-el9').click();
  await expect(page.getByRole('list', { name: 'New packages of extra-el9' })).toContainText('alpha-1-1.noarch');
  await row(page, 'base-el9').click();
  await page.keyboard.press('Control+`');
  await page.mouse.move(640, 90);
  await picture(page, 'package-repositories');

  await row(page, 'base-el9').click();
  server.fail((path) => (path === packages[1]?.path ? { kind: 'status', status: 403 } : undefined));
  await repo.getByRole('button', { name: 'Sync base-el9' }).click();
  await expect(repo).toContainText('1 package could not be had');
  await expect(problem).toBeHidden();
  await expect(page.getByRole('group', { name: '1 package could not be had' })).toContainText('beta-1-1.noarch');

  server.fail(undefined);
  rmSync(file);
  await repo.getByRole('button', { name: 'Sync base-el9' }).click();
  await expect(problem).toContainText(`The file ${file}, which defines the package repository base-el9, is gone.`);
  await expect(page.getByText('The file is gone: it cannot be synchronised until it is back.').first()).toBeVisible();
  repoFile('base-el9', 'extra-el9');
  await repo.getByRole('button', { name: 'Sync base-el9' }).click();
  await expect(repo).toContainText('synchronised');
  await expect(problem).toBeHidden();
  expect(pageErrors()).toEqual([]);
  await close();
});

test('an environment’s repositories are synchronised from its tab, and it is their user', async () => {
  server.serve(rpmRepository([rpm('one', '1'), rpm('two', '1')]));
  server.fail(() => ({ kind: 'status', status: 503 }));
  const file = repoFile('base-el9', 'base-fc41');
  const disks = [{ type: 'empty', name: 'root', dev: 'vda', format: 'qcow2', size: '1M' }];
  const domains = { web: { distro: 'el9', memory: 64, disks, nics: [{ net: 'lan' }] } };
  const nets = { lan: { type: 'nat', dhcp: { start: 100, end: 200 }, management: true } };
  const initFile = scratch.write('shop.json', JSON.stringify({ domains, nets, repos: { file } }));
  await lagoOk(scratch, ['--prefix-name', 'shop', 'init', initFile]);
  const { page, pageErrors, close } = await openDesktop(scratch);
  await openEnvironment(page, 'shop');
  await showView(page, 'shop', 'Packages');
  const pane = page.getByRole('region', { name: 'Synchronised repositories' });
  await expect(pane).toContainText('1 of 2 used');
  await pane.getByRole('button', { name: 'Synchronise', exact: true }).click();
  await expect(pane.getByTestId('task').getByRole('alert')).toContainText('the server answers with status 503');
  server.fail(undefined);
  await pane.getByRole('button', { name: 'Synchronise', exact: true }).click();
  await expect(pane.getByTestId('task')).toBeHidden();
  await showPage(page);
  await expect(row(page, 'base-el9')).toContainText('synchronised');
  await expect(row(page, 'base-el9')).toContainText('shop');
  await expect(row(page, 'base-fc41')).toBeHidden();
  expect(pageErrors()).toEqual([]);
  await close();
});
