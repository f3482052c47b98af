import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import type { Changes } from '../../src-shared/snapshot/changes.ts';
import { showView } from '../support/environment.ts';
import { oneVm } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from '../support/leaks.ts';
import { useScratch } from '../support/prologue.ts';
import type { Scratch } from '../support/scratch.ts';
import { openDesktop } from '../support/window.ts';

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

const inVm = async (command: string): Promise<string> => (await lagoOk(scratch, ['shell', 'web', command])).stdout;

async function changes(...points: readonly string[]): Promise<Changes> {
  const { stdout } = await lagoOk(scratch, ['-f', 'json', 'changes', ...points]);
  return (JSON.parse(stdout) as { readonly web: Changes }).web;
}

/** Changes below /srv and of packages; a booted guest changes more. */
function made(found: Changes): readonly string[] {
  const files = found.files.filter(({ path }) => path.startsWith('/srv')).map(({ path, change, aspects }) => [change, path, ...aspects]);
  return [...files, ...found.packages.map(({ name, before, after }) => ['package', name, before, after])].map((words) => words.join(' '));
}

const STATUS = (version: string): string =>
  `mkdir -p /var/lib/dpkg; printf 'Package: tool\\nStatus: install ok installed\\nVersion: ${version}\\n' > /var/lib/dpkg/status`;

test('what changed in a guest: between snapshots, until now, while it runs and when it is off', async () => {
  test.setTimeout(900_000);
  await lagoOk(scratch, ['init', oneVm(scratch, 'one')]);
  await lagoOk(scratch, ['snapshot', 'new']);
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  await inVm(`mkdir -p /srv/deep; echo one > /srv/deep/file; echo gone > /srv/gone; echo same > /srv/same; ${STATUS('1.0')}; sync`);
  await lagoOk(scratch, ['snapshot', 'filled']);
  await inVm(
    `echo two > /srv/deep/file; rm /srv/gone; chmod 600 /srv/same; printf 'a\\0b' > "/srv/line
break"; ${STATUS('2.0')}; sync`,
  );
  await lagoOk(scratch, ['snapshot', 'altered']);

  const first = await changes('new', 'filled');
  const filled = ['added /srv', 'added /srv/deep', 'added /srv/deep/file', 'added /srv/gone', 'added /srv/same', 'package tool  1.0'];
  expect(made(first)).toEqual(filled);
  expect(first.files.map(({ path }) => path)).toContain('/etc/hostname');
  expect(first.notes).toEqual([expect.stringContaining('“filled” was taken while web was running')]);
  const altered = [
    'changed /srv/deep/file content',
    'removed /srv/gone',
    'added /srv/line\nbreak',
    'changed /srv/same permissions',
    'package tool 1.0 2.0',
  ];
  expect(made(await changes('filled', 'altered'))).toEqual(altered);
  expect((await changes('new', 'filled')).readAt).toBe(first.readAt);

  // Until now, of a guest that is asked to write its files down.
  await inVm('echo three > /srv/deep/file');
  const now = await changes('altered');
  expect(made(now)).toEqual(['changed /srv/deep/file content']);
  expect(now.notes.join()).toContain('web was running: what it wrote while its disk was read may be missing.');
  const shown = await lagoOk(scratch, ['changes', '--vm', 'web', '--diff', '/srv/deep/file', 'filled']);
  expect(shown.stdout).toBe('/srv/deep/file: 1 lines added, 1 removed\n-one\n+three\n');
  await lagoOk(scratch, ['stop']);
  expect(made(await changes('altered'))).toEqual(['changed /srv/deep/file content']);
  expect((await lagoOk(scratch, ['changes', '--packages', 'filled'])).stdout).toMatch(
    /^web: 1 packages changed\n {2}packages:\n {2}~ tool 1\.0 → 2\.0\n/,
  );
  expect((await lagoOk(scratch, ['-f', 'flat', 'changes', 'altered'])).stdout).toContain('web/files/path: /srv/deep/file\n');

  await test.step('in the window', async () => {
    const { page, pageErrors, close } = await openDesktop(scratch);
    await page.getByRole('table', { name: 'Environments' }).getByRole('row', { name: 'default' }).dblclick();
    await showView(page, 'default', 'Snapshots');
    await page.getByRole('button', { name: 'Compare' }).click();
    const dialog = page.getByRole('dialog', { name: 'What changed in default?' });
    const tree = dialog.getByRole('list', { name: 'Changed files' });
    await expect(tree.getByRole('button', { name: /^srv\/deep .*1 changed/ })).toBeVisible({ timeout: 60_000 });
    await dialog.getByLabel('From').selectOption('filled');
    await dialog.getByLabel('To').selectOption('altered');
    await expect(tree.getByRole('button', { name: /^gone.*removed/ })).toBeVisible({ timeout: 60_000 });
    await expect(dialog.getByRole('table', { name: 'Changed packages' })).toContainText('tool1.02.0');
    await tree.getByRole('button', { name: /^file.*changed/ }).click();
    const text = dialog.getByRole('region', { name: 'Changes of /srv/deep/file' });
    await expect(text).toContainText('one', { timeout: 60_000 });
    await expect(text).toContainText('two');
    expect(pageErrors()).toEqual([]);
    await close();
  });

  const unknown = await lago(scratch, ['changes', '--vm', 'web', '--diff', '/etc/passwd', 'altered']);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toContain('/etc/passwd is not among the files that changed');
  expect(await lago(scratch, ['changes', 'nothing'])).toMatchObject({ code: 2, stdout: '' });
  const snapshots = join(scratch.dir, '.lago/default/snapshots');
  expect(readdirSync(snapshots).sort()).toEqual(['altered', 'filled', 'new']);
  await lagoOk(scratch, ['snapshot', '--delete', 'altered']);
  expect(readdirSync(snapshots).sort()).toEqual(['filled', 'new']);

  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});
