import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import type { BootState } from '../src-shared/boot.ts';
import { showView, vmRow } from './support/environment.ts';
import { lago, lagoOk } from './support/lago.ts';
import { useScratch } from './support/prologue.ts';
import { root, type Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { openDesktop } from './support/window.ts';

/** "Why is it not up?": in the window and on the command line, for guests that fail in different ways. */

const BOOT = 240_000;
let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

/** A copy of the sample guest whose kernel finds neither its first program nor a root disk, and so panics. */
function panickingImage(): string {
  const folder = join(root, '.cache/templates');
  const image = readdirSync(folder).find((name) => name.endsWith('.qcow2'));
  if (image === undefined) throw new Error(`There is no sample guest in ${folder}.`);
  const path = join(scratch.dir, 'panics.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', join(folder, image), path]);
  const disk = readFileSync(path);
  const words = 'mitigations=off nokaslr';
  const at = disk.indexOf(words);
  if (at < 0) throw new Error('The sample guest has another kernel command line.');
  disk.write('rdinit=/nowhere'.padEnd(words.length), at);
  writeFileSync(path, disk);
  return path;
}

function fourVms(): string {
  const vm = (nics: readonly string[], more: object = {}): object => ({
    memory: 192,
    vcpu: 1,
    nics: nics.map((net) => ({ net })),
    disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }],
    ...more,
  });
  const net = (gw: string, management: boolean): object => ({ type: 'nat', management, gw, dhcp: { start: 100, end: 200 } });
  return scratch.write(
    'four.json',
    JSON.stringify({
      nets: { front: net('192.168.200.1', true), back: net('192.168.201.1', true) },
      domains: {
        fine: vm(['front']),
        unplugged: vm(['back']),
        locked: vm(['front'], { 'ssh-user': 'nobody' }),
        panicking: vm(['back'], { disks: [{ name: 'root', dev: 'vda', format: 'raw', type: 'file', path: panickingImage() }] }),
      },
    }),
  );
}

test('each cause is named, in the window and on the command line', async () => {
  test.setTimeout(600_000);
  const ok = async (...argv: readonly string[]): Promise<string> => (await lagoOk(scratch, argv)).stdout;
  await ok('init', fourVms());
  await ok('start', 'unplugged');
  await ok('vm', 'link', 'unplugged', 'eth0', 'down');
  await ok('start');

  const { page } = await openDesktop(scratch);
  await page.getByRole('table', { name: 'Environments' }).getByRole('row', { name: 'default' }).dblclick();
  await showView(page, 'default', 'VMs');
  const hangs: readonly (readonly [vm: string, word: string, cause: string])[] = [
    ['unplugged', 'link down', 'The link of eth0 of unplugged is down'],
    ['locked', 'login refused', 'locked refuses the login of nobody'],
    ['panicking', 'kernel panic', 'The kernel of panicking panicked'],
  ];
  const notes = page.getByRole('region', { name: 'VMs that are not up' });
  await expect(vmRow(page, 'fine')).toContainText('ready', { timeout: BOOT });
  for (const [vm, word, cause] of hangs) {
    await expect(vmRow(page, vm)).toContainText(word, { timeout: BOOT });
    await expect(notes).toContainText(cause);
  }
  await expect(notes).not.toContainText('fine');
  await vmRow(page, 'locked')
    .getByRole('button', { name: /^Boot of locked: / })
    .hover();
  await expect(page.getByRole('tooltip')).toContainText('Login accepted: waiting');
  await picture(page, 'why');

  const text = await ok('status', '--why');
  for (const [vm, , cause] of hangs) {
    expect(text).toContain(`${vm}: not up yet`);
    expect(text).toContain(cause);
  }
  expect(text).toContain('fine: up');
  const { panicking } = JSON.parse(await ok('-f', 'json', 'status', '--why', 'panicking')) as { readonly panicking: BootState };
  expect(panicking.hang?.lines.join('\n')).toContain('Kernel panic');

  // A wait that fails says the same.
  const shell = await lago(scratch, ['shell', 'locked', 'true']);
  expect(shell.code).not.toBe(0);
  expect(shell.stderr).toContain('locked refuses the login of nobody');
  const dead = await lago(scratch, ['shell', 'panicking', 'true']);
  expect(dead.stderr).toContain('The kernel of panicking panicked');

  await ok('vm', 'link', 'unplugged', 'eth0', 'up');
  await expect(vmRow(page, 'unplugged')).toContainText('ready', { timeout: BOOT });
  await ok('destroy', '--yes');
});
