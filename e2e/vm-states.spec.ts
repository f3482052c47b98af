import { expect, type Page, test } from '@playwright/test';
import { expectAccessible } from './support/axe.ts';
import { expectRunning, expectTask, showView, vmRow } from './support/environment.ts';
import { VMS } from './support/forks.ts';
import { lagoOk } from './support/lago.ts';
import { dhcpServers, qemuOf } from './support/leaks.ts';
import { askMain } from './support/main-process.ts';
import { type Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { useSharedEnvironment } from './support/shared-environment.ts';
import { openTerminal, runInTerminal, typeLine } from './support/terminal.ts';
import { type Desktop } from './support/window.ts';

/** What the window shows of VMs that end, pause or reboot by themselves. Each test leaves the shared environment running. */

const BOOT = 180_000;
let scratch: Scratch;
let desktop: Desktop;
let page: Page;
useSharedEnvironment((shared) => {
  ({ scratch, desktop, page } = shared);
});

function tab(): ReturnType<Page['locator']> {
  return page.getByRole('tablist', { name: 'Open environments' }).getByRole('tab', { name: 'shop' });
}

test('a VM whose QEMU is killed has crashed, until it is started again', async () => {
  const terminal = await openTerminal(page, 'web', 'Terminal');
  // stty waits until the port has taken what was written.
  await runInTerminal(terminal, 'echo last words >/dev/ttyS0; stty -F /dev/ttyS0 onlcr');
  process.kill(qemuOf(scratch, 'web'), 'SIGKILL');
  const row = vmRow(page, 'web');
  await expect(row).toContainText('crashed');
  await expect(terminal).toHaveAttribute('data-state', 'waiting');
  await expect(tab().locator('[role="img"]')).toHaveAttribute('aria-label', '1 of 2 running, 1 crashed');
  const notes = page.getByRole('region', { name: 'Crashed VMs' });
  await expect(notes).toContainText('shutting down, reason=crashed');
  await expect(notes).toContainText('last words');
  await expect(page.getByRole('region', { name: 'Notices' })).toContainText('VM web of shop crashed');
  await row.getByRole('button', { name: 'crashed' }).hover();
  await expect(page.getByRole('tooltip')).toContainText('Its QEMU process ended without shutting down.');
  await picture(page, 'crashed');
  await showView(page, 'shop', 'Activity');
  await expect(notes).toContainText('web crashed');
  await showView(page, 'shop', 'VMs');

  const { stdout } = await lagoOk(scratch, ['--prefix-path', `${scratch.workdir}/shop`, '--out-format', 'flat', 'status']);
  expect(stdout).toContain('VMs/web/status: crashed');
  expect(stdout).toContain('VMs/web/crash/reason: Its QEMU process ended without shutting down.');
  expect(stdout).toContain('VMs/db/status: running');

  await row.getByRole('button', { name: 'Start web', exact: true }).click();
  await expectRunning(page, 'shop', VMS);
  await expect(notes).toBeHidden();
  await expect(terminal).toHaveAttribute('data-state', 'connected');
});

test('a row shows what its VM uses, and how its address is known; a DHCP server that died is told, and started again by Start', async () => {
  await expect(vmRow(page, 'web').getByRole('button', { name: /^Processor use of web: \d+ %$/ })).toBeVisible();
  await expect(vmRow(page, 'web')).toContainText(/MiB used/);
  await expect(vmRow(page, 'web').getByTitle('front: the guest agent says so')).toContainText('192.168.200.2');
  const servers = dhcpServers(scratch);
  expect(servers.length).toBeGreaterThan(0);
  for (const pid of servers) process.kill(pid, 'SIGKILL');
  const strip = page.getByRole('main').getByRole('status').filter({ hasText: 'The DHCP and DNS server of network' });
  await expect(strip).toContainText('VMs get neither addresses nor names');
  await showView(page, 'shop', 'Networks');
  await expect(page.getByRole('table', { name: 'Networks' })).toContainText('no DHCP server');
  await page.getByRole('main').getByRole('button', { name: 'Start', exact: true }).click();
  await expect(strip).toBeHidden();
  expect(dhcpServers(scratch).length).toBe(servers.length);
  await showView(page, 'shop', 'VMs');
});

test('header and tab say what is done to running VMs, not that they are off', async () => {
  const header = page.getByRole('main').locator('header').first();
  // Records every text that the tab's mark shows while VMs pause.
  await tab().evaluate((element) => {
    const seen: string[] = [];
    const note = (): void => {
      const text = element.querySelector('[role="img"]')?.getAttribute('aria-label') ?? '';
      if (seen.at(-1) !== text) seen.push(text);
    };
    note();
    new MutationObserver(note).observe(element, { subtree: true, childList: true, attributes: true });
    Object.assign(element, { seen });
  });
  await showView(page, 'shop', 'Snapshots');
  await page.getByRole('textbox', { name: 'Snapshot name' }).fill('one');
  await page.getByRole('button', { name: 'Take snapshot' }).click();
  await picture(page, 'taking-a-snapshot');
  await expectTask(page, 'shop', 'Snapshot shop');
  await expect(header).toContainText('2 of 2 running');
  const seen = await tab().evaluate((element) => (element as unknown as { readonly seen: readonly string[] }).seen);
  expect(seen).toEqual(['2 of 2 running', 'taking a snapshot…', '2 of 2 running']);
  await showView(page, 'shop', 'VMs');
});

test('a guest that reboots is booting until its ssh answers', async () => {
  const row = vmRow(page, 'web');
  await expect(row).toContainText('ready', { timeout: BOOT });
  const terminal = await openTerminal(page, 'web', 'Terminal');
  await typeLine(terminal, 'reboot');
  await expect(row).toContainText('booting…', { timeout: BOOT });
  await picture(page, 'booting');
  await expect(row).toContainText('ready', { timeout: BOOT });
});

test('suspended VMs are paused in window and command line, and continue where they were', async () => {
  const main = page.getByRole('main');
  const status = main.locator('header').first();
  const lagoHere = async (...words: string[]): Promise<string> =>
    (await lagoOk(scratch, ['--prefix-path', `${scratch.workdir}/shop`, ...words])).stdout;
  const terminal = await openTerminal(page, 'web', 'Terminal');
  await runInTerminal(terminal, '(while sleep 0.2; do echo x >>/tmp/beats; done) >/dev/null 2>&1 & disown');

  await main.getByRole('button', { name: 'Suspend', exact: true }).click();
  for (const vm of VMS) await expect(vmRow(page, vm)).toContainText('paused');
  await expect(status).toContainText('paused');
  await picture(page, 'suspended');
  await expectAccessible(page, 'a suspended environment');
  expect(await lagoHere('--out-format', 'flat', 'status')).toContain('VMs/web/status: paused');

  await vmRow(page, 'db').getByRole('button', { name: 'More for db' }).click();
  await page.getByRole('menuitem', { name: 'Resume' }).click();
  await expect(vmRow(page, 'db')).toContainText('running');
  await expect(status).toContainText('1 of 2 running, 1 paused');
  await lagoHere('suspend', 'db');
  await expect(vmRow(page, 'db')).toContainText('paused');
  await main.getByRole('button', { name: 'Resume', exact: true }).click();
  await expectRunning(page, 'shop', VMS);

  await expect(terminal).toHaveAttribute('data-state', 'connected');
  const beats = async (): Promise<number> => Number(await runInTerminal(terminal, 'wc -l </tmp/beats'));
  const before = await beats();
  await expect.poll(beats).toBeGreaterThan(before);
  await lagoHere('suspend');
  await lagoHere('resume');
  await expectRunning(page, 'shop', VMS);
  await expect.poll(beats).toBeGreaterThan(before);
});

test('a VM gives out its root password', async () => {
  await vmRow(page, 'web').getByRole('button', { name: 'More for web' }).click();
  await page.getByRole('menuitem', { name: 'Copy root password' }).click();
  await expect.poll(async () => await askMain(desktop.app, ({ clipboard }) => clipboard.readText())).toBe('123456');
});
