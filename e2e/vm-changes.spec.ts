import { expect, test } from '@playwright/test';
import { expectAccessible } from './support/axe.ts';
import { lago, lagoOk } from './support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { openDesktop } from './support/window.ts';

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

const FILE = `
domains:
  web: {memory: 192, vcpu: 1, nics: [{net: front}], disks: [{name: root, dev: vda, format: qcow2, type: template, template_name: lago-sample}]}
nets:
  front: {type: nat, management: true, dhcp: {start: 100, end: 200}}
  back: {type: nat, dhcp: {start: 100, end: 200}}
`;

/** What a guest reads from its CD drive. */
const READ_CD = 'head -c 6 /dev/sr0';

test('devices and memory of a VM are changed while it runs, kept for its next start, and go back with a snapshot', async () => {
  const inGuest = async (command: string): Promise<string> => (await lagoOk(scratch, ['shell', 'web', command])).stdout.trim();
  const change = async (...words: readonly string[]): Promise<string> => (await lagoOk(scratch, ['vm', ...words])).stderr;
  const free = async (): Promise<number> => Number(await inGuest("awk '/MemFree/ {print $2}' /proc/meminfo"));
  let most = 0;
  const cd = (name: string): string => scratch.write(`${name}.iso`, name.padEnd(64 * 1024, '\n'));

  await test.step('off: a CD drive is there from the next start on', async () => {
    await lagoOk(scratch, ['init', scratch.write('changes.yaml', FILE)]);
    await change('cd', 'web', cd('first'));
    await lagoOk(scratch, ['start']);
    await expect.poll(async () => await inGuest(`${READ_CD} || true`)).toBe('first');
  });

  await test.step('the CD', async () => {
    await change('cd', 'web', cd('second'));
    await expect.poll(async () => await inGuest(`${READ_CD} || true`)).toBe('second');
    await change('cd', 'web', '--eject');
    await expect.poll(async () => await inGuest(`${READ_CD} 2>/dev/null || echo empty`)).toBe('empty');
  });

  await lagoOk(scratch, ['snapshot', 'before']);

  await test.step('a disk', async () => {
    expect(await change('add-disk', 'web', '--size', '8M')).toContain('It is disk disk3, at vdc.');
    await expect.poll(async () => await inGuest('cat /sys/block/vdc/size || true')).toBe('16384');
    expect(await inGuest('echo kept >/dev/vdc && sync && head -c 4 /dev/vdc')).toBe('kept');
  });

  await test.step('a network card', async () => {
    expect(await change('add-nic', 'web', 'back')).toContain('It is eth1 in the definition, 192.168.201.2.');
    await expect.poll(async () => await inGuest('ls /sys/class/net')).toContain('eth1');
    await inGuest('ip link set eth1 up && udhcpc -i eth1 -n -q -s /bin/true && true');
    expect(await inGuest('udhcpc -i eth1 -n -q -s /bin/true 2>&1')).toContain('192.168.201.2');
    expect((await lagoOk(scratch, ['status'])).stdout).toContain('192.168.201.2');
    await change('link', 'web', 'eth1', 'down');
    await expect.poll(async () => await inGuest('cat /sys/class/net/eth1/carrier')).toBe('0');
  });

  await test.step('memory', async () => {
    const before = await free();
    await change('memory', 'web', '128M');
    await expect.poll(free).toBeLessThan(before - 40 * 1024);
    most = before - 40 * 1024;
    const refused = await lago(scratch, ['vm', 'memory', 'web', '1G']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('from 64 to 192 MiB');
  });

  await test.step('everything is kept', async () => {
    await lagoOk(scratch, ['stop']);
    await lagoOk(scratch, ['start']);
    expect(await inGuest('head -c 4 /dev/vdc; cat /sys/class/net/eth1/address')).toBe('kept54:52:c0:a8:c9:02');
    await expect.poll(async () => await inGuest('ip link set eth1 up; cat /sys/class/net/eth1/carrier')).toBe('0');
    await expect.poll(free).toBeLessThan(most);
  });

  await test.step('a disk and a card are removed', async () => {
    await change('remove-disk', 'web', 'vdc');
    expect(await inGuest('ls /sys/block')).not.toContain('vdc');
    await change('remove-nic', 'web', 'eth1');
    expect(await inGuest('ls /sys/class/net')).not.toContain('eth1');
  });

  await test.step('in the window', async () => {
    const { page, close } = await openDesktop(scratch);
    await page.getByRole('table', { name: 'Environments' }).getByRole('row', { name: 'default' }).dblclick();
    await page.getByRole('button', { name: 'More for web' }).click();
    await page.getByRole('menuitem', { name: 'Change…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Change web' });

    const disks = dialog.getByRole('region', { name: 'Disks' });
    await disks.getByRole('textbox', { name: 'Size of the new disk' }).fill('8M');
    await page.keyboard.press('Enter');
    await expect(disks.getByRole('status')).toHaveText('It is disk disk3, at vdc.');
    await expect.poll(async () => await inGuest('cat /sys/block/vdc/size || true')).toBe('16384');
    await disks.getByRole('button', { name: 'Remove disk vdc…' }).click();
    await expect(disks.getByRole('listitem', { name: 'Disk vdc' })).toContainText('Everything on disk3 is deleted.');
    await disks.getByRole('button', { name: 'Remove vdc' }).click();
    await expect(disks.getByRole('listitem', { name: 'Disk vdc' })).toBeHidden();
    expect(await inGuest('ls /sys/block')).not.toContain('vdc');

    const cards = dialog.getByRole('region', { name: 'Network cards' });
    await cards.getByRole('combobox', { name: 'Network of the new card' }).selectOption('back');
    await cards.getByRole('button', { name: 'Add card' }).click();
    const link = cards.getByRole('switch', { name: 'eth1 connected' });
    await link.click();
    await expect(link).not.toBeChecked();
    expect(await inGuest('ip link set eth1 up; cat /sys/class/net/eth1/carrier')).toBe('0');
    await link.click();
    await expect(link).toBeChecked();
    await expect.poll(async () => await inGuest('cat /sys/class/net/eth1/carrier')).toBe('1');
    await cards.getByRole('button', { name: 'Remove network card eth1' }).click();
    await expect(cards.getByRole('listitem', { name: 'Network card eth1' })).toBeHidden();

    const drives = dialog.getByRole('region', { name: 'CD drives' });
    const image = drives.getByRole('textbox', { name: 'CD image' });
    await image.fill(`${scratch.dir}/missing.iso`);
    await drives.getByRole('button', { name: 'Insert' }).click();
    await expect(drives.getByRole('alert')).toContainText('missing.iso does not exist.');
    await expectAccessible(page, 'change a VM');
    await picture(page, 'change-vm');
    await image.fill(cd('third'));
    await drives.getByRole('button', { name: 'Insert' }).click();
    await expect.poll(async () => await inGuest(`${READ_CD} || true`)).toBe('third');
    await expect(drives.getByRole('alert')).toBeHidden();
    await drives.getByRole('button', { name: 'Eject the CD of hdc' }).click();
    await expect(drives.getByRole('listitem', { name: 'CD drive hdc' })).toContainText('empty');
    await close();
  });

  await test.step('a revert brings the devices of the snapshot back', async () => {
    await change('add-disk', 'web', '--size', '8M');
    await change('add-nic', 'web', 'back');
    await lagoOk(scratch, ['snapshot', 'after']);
    await lagoOk(scratch, ['revert', 'before']);
    expect(await inGuest('ls /sys/block /sys/class/net')).not.toMatch(/vdc|eth1/);
    const { stdout } = await lagoOk(scratch, ['-f', 'json', 'status']);
    expect(stdout).not.toContain('192.168.201.2');
    await lagoOk(scratch, ['revert', 'after']);
    expect(await inGuest('ls /sys/block /sys/class/net')).toMatch(/vdc[^]*eth1/);
  });

  const namespaces = ownedNamespaces(scratch);
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});
