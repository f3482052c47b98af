import { existsSync, readdirSync, renameSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { dropFile } from '../support/drop.ts';
import { showEnvironment, showView } from '../support/environment.ts';
import { twoVms } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNoProcess } from '../support/leaks.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { picture } from '../support/screenshots.ts';
import { closeDesktops, openDesktop } from '../support/window.ts';

/** A running environment is handed over: from one work directory, home and template store to others, of which none knows the first. */

let from: Scratch;
let to: Scratch;

test.beforeEach(() => {
  from = makeScratch();
  to = makeScratch();
});

test.afterEach(async () => {
  await closeDesktops();
  for (const scratch of [from, to]) {
    if (existsSync(join(scratch.dir, '.lago'))) await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);
    await expectNoProcess(scratch);
    scratch.remove();
  }
});

async function inGuest(scratch: Scratch, vm: string, command: string): Promise<string> {
  return (await lagoOk(scratch, ['shell', vm, command])).stdout.trim();
}

/** The last number that `web` has counted, and the last one that `db` got from it, over a connection that is never opened again. */
async function counted(scratch: Scratch): Promise<{ readonly sent: number; readonly got: number }> {
  const read = (file: string): string => `while ! grep -q . ${file}; do :; done; cat ${file}`;
  const got = Number(await inGuest(scratch, 'db', read('/tmp/got')));
  return { got, sent: Number(await inGuest(scratch, 'web', read('/tmp/sent'))) };
}

async function expectCounting(scratch: Scratch, beyond: number): Promise<void> {
  await expect.poll(async () => (await counted(scratch)).got, { timeout: 60_000, intervals: [500] }).toBeGreaterThan(beyond);
  const { got, sent } = await counted(scratch);
  expect(got).toBeLessThanOrEqual(sent);
  expect(await inGuest(scratch, 'db', 'cat /tmp/ended 2>/dev/null; true')).toBe('');
}

/** Two VMs of which one counts, and sends each number to the other one. */
async function startCounting(scratch: Scratch): Promise<void> {
  await lagoOk(scratch, ['init', twoVms(scratch, 'pair')]);
  await lagoOk(scratch, ['start']);
  const receive = 'tail -f /dev/null | nc -l -p 7000 | while read n; do echo $n >/tmp/got; done; echo ended >/tmp/ended';
  const text = await inGuest(scratch, 'db', `mount -t tmpfs none /tmp; (${receive}) >/dev/null 2>&1 & ip -4 -o addr show dev eth0`);
  const address = /inet ([\d.]+)/.exec(text)?.[1] ?? '';
  const send = `{ n=0; while :; do n=$((n+1)); echo $n >/tmp/sent; echo $n; usleep 300000; done; } | nc ${address} 7000`;
  await inGuest(scratch, 'web', `mount -t tmpfs none /tmp; (${send}) >/dev/null 2>&1 &`);
  await expectCounting(scratch, 2);
}

test('a running environment goes on elsewhere, where nothing is known of it', async () => {
  test.setTimeout(300_000);
  await startCounting(from);
  await inGuest(from, 'web', 'echo kept >/root/kept && sync');
  await lagoOk(from, ['snapshot', 'failed run']);
  const then = await counted(from);
  await lagoOk(from, ['export', '--snapshot', 'failed run']);
  const exported = join(from.dir, 'default-failed-run');
  expect(statSync(exported).mode & 0o077).toBe(0);
  expect(statSync(join(exported, 'snapshots/failed run/web.memory')).mode & 0o077).toBe(0);
  await expectCounting(from, then.got);
  const taken = await lago(from, ['export', '--snapshot', 'failed run']);
  expect(taken.stderr).toContain('is not empty');
  await lagoOk(from, ['destroy', '--yes']);
  const folder = join(to.dir, 'handed over');
  renameSync(exported, folder);
  from.remove();

  const asInitFile = await lago(to, ['init', folder]);
  expect(asInitFile.stderr).toContain('--resume');
  await lagoOk(to, ['init', folder, '--resume']);
  const [back, status] = [await counted(to), JSON.parse((await lagoOk(to, ['--out-format', 'json', 'status'])).stdout) as object];
  expect(JSON.stringify(status)).toContain('running');
  // Neither from the beginning nor as far as the other one came.
  expect(back.sent).toBeGreaterThan(2);
  await expectCounting(to, back.got + 3);
  expect(await inGuest(to, 'web', 'cat /root/kept')).toBe('kept');
  // It has the snapshot, and needs the folder no more.
  renameSync(folder, `${folder} and gone`);
  await lagoOk(to, ['revert', 'failed run']);
  await expectCounting(to, 0);
  expect((await counted(to)).sent).toBeGreaterThan(2);
  await lagoOk(to, ['stop']);
  await lagoOk(to, ['start']);
  expect(await inGuest(to, 'web', 'cat /root/kept')).toBe('kept');
});

test('what is not an exported snapshot, or is damaged, is refused and leaves nothing', async () => {
  await lagoOk(from, ['init', twoVms(from, 'pair')]);
  await lagoOk(from, ['snapshot', 'cold']);
  const names = readdirSync(to.dir);
  const exporting = ['export', '--snapshot', 'cold', '-d', join(to.dir, 'cold')];
  const killed = await lago(from, exporting, { env: { LAGO_FAULT: 'kill:7' } });
  const left = readdirSync(to.dir).filter((name) => !names.includes(name));
  expect([killed.code, left]).toEqual([137, [expect.stringMatching(/^\.cold\.lago-snapshot-/)]]);
  await lagoOk(from, ['snapshot', 'later']);
  expect(readdirSync(to.dir)).toEqual(names);
  await lagoOk(from, exporting);
  const file = await lago(to, ['init', twoVms(to, 'pair'), '--resume']);
  expect([file.code, file.stderr]).toEqual([2, expect.stringContaining('is not the folder of an exported snapshot')]);
  const folder = join(to.dir, 'cold');
  await lagoOk(to, ['--prefix-name', 'whole', 'init', folder, '--resume']);
  await lagoOk(to, ['--prefix-name', 'whole', 'start']);
  const image = readdirSync(join(folder, 'images')).find((name) => name.startsWith('web_')) ?? '';
  truncateSync(join(folder, 'images', image), 1000);
  const broken = await lago(to, ['--prefix-name', 'broken', 'init', folder, '--resume']);
  expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining(`${image} has 1000 bytes`)]);
  expect(existsSync(join(to.dir, '.lago', 'broken'))).toBe(false);
});

test('in the window a point is exported, and its folder, dropped, becomes an environment', async () => {
  await lagoOk(from, ['init', twoVms(from, 'pair')]);
  await lagoOk(from, ['snapshot', 'cold']);
  const folder = join(from.dir, 'handed-over');
  const { page, pageErrors } = await openDesktop(from);
  await page.getByRole('row', { name: 'default', exact: true }).click();
  await showView(page, 'default', 'Snapshots');
  await page.getByRole('button', { name: 'More for cold' }).click();
  await page.getByRole('menuitem', { name: 'Export…' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('New folder')).toHaveValue(join(from.dir, 'default-cold'));
  await dialog.getByLabel('New folder').fill(folder);
  await picture(page, 'export-point');
  await dialog.getByRole('button', { name: 'Export 2 VMs' }).click();
  await expect(page.getByRole('region', { name: 'Notices' })).toContainText('Exported “cold”', { timeout: 60_000 });
  await dropFile(page, page.locator('#root'), folder);
  await dialog.getByLabel('Name of the environment').fill('second');
  await picture(page, 'resume');
  await dialog.getByRole('button', { name: 'Create environment' }).click();
  await expect(page.getByRole('heading', { name: 'second', level: 1 })).toBeVisible({ timeout: 60_000 });
  await showEnvironment(page, 'second');
  await showView(page, 'second', 'Snapshots');
  await expect(page.getByRole('option', { name: /^cold,/ })).toBeVisible();
  expect(pageErrors()).toEqual([]);
});
