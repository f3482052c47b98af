import { createHash } from 'node:crypto';
import { expect, type Locator, type Page, test } from '@playwright/test';
import { vmRow } from './support/environment.ts';
import { VMS } from './support/forks.ts';
import { lagoOk } from './support/lago.ts';
import { ownedProcesses } from './support/leaks.ts';
import { askMain, doInMain } from './support/main-process.ts';
import { type Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { type SharedEnvironment, useSharedEnvironment } from './support/shared-environment.ts';
import { expectTerminal, openTerminal, runInTerminal, terminalText, typeLine } from './support/terminal.ts';

/** Terminals survive: what happens to the page, the guest, libvirt or the console does not end them. */

const BOOT = 180_000;
let shared: SharedEnvironment;
let scratch: Scratch;
let page: Page;
/** Playwright cannot use a page that has crashed, even after it was loaded again. */
let pageCrashed = false;
useSharedEnvironment((given) => {
  shared = given;
  ({ scratch, page } = shared);
});
test.beforeAll(async () => {
  // A guest that goes on in a fork has printed nothing there: the next getty prints what is on a console after a boot.
  await Promise.all(VMS.map(async (vm) => await shared.lago('shell', vm, 'killall getty')));
});

test.afterEach(async () => {
  if (pageCrashed) return;
  // Each test begins without terminals.
  const tabs = page.getByRole('tablist', { name: 'Terminals' }).getByRole('tab');
  while ((await tabs.count()) > 0) {
    const before = await tabs.count();
    await tabs.first().press('Delete');
    await expect(tabs).toHaveCount(before - 1);
  }
});

function shown(kind: 'ssh' | 'serial'): Locator {
  return page.locator(`[data-testid="terminal"][data-kind="${kind}"]:visible`);
}

async function paste(terminal: Locator, text: string): Promise<void> {
  await terminal.click();
  await terminal.evaluate((element, data) => {
    (element as unknown as { readonly terminal: { paste(text: string): void } }).terminal.paste(data);
  }, text);
}

/** Lines that no terminal's line discipline is too small for. */
const MEGABYTE = Array.from({ length: 16_384 }, (_, index) => `${String(index).padStart(5, '0')} ${'x'.repeat(57)}\n`).join('');

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

test('a reloaded page shows the same screen and history, and the session goes on', async () => {
  const before = await openTerminal(page, 'web', 'Terminal');
  const pid = await runInTerminal(before, 'echo $$; for i in $(seq 200); do echo line $i; done');
  const text = await terminalText(before);
  await page.reload();
  const after = shown('ssh');
  await expect(after).toHaveAttribute('data-state', 'connected', { timeout: 60_000 });
  await expect.poll(async () => await terminalText(after)).toBe(text);
  await page
    .getByRole('table', { name: 'Environments' })
    .getByRole('row', { name: 'shop', exact: true })
    .or(page.getByRole('tablist', { name: 'Open environments' }).getByRole('tab', { name: 'shop' }))
    .first()
    .click();
  expect((await runInTerminal(after, 'echo $$')).trim()).toBe(pid.split('\n')[0]);
  await picture(page, 'terminal-reloaded');
});

test('serial consoles show what was printed before and share one guest, also with the command line', async () => {
  const first = await openTerminal(page, 'db', 'Serial console');
  await expectTerminal(first, /login:/);
  await typeLine(first, 'someone');
  await expectTerminal(first, /login: someone\s+Password:/);
  const text = await terminalText(first);
  const second = await openTerminal(page, 'db', 'Serial console');
  await expect.poll(async () => await terminalText(second)).toBe(text);

  const other = await lagoOk(scratch, ['--prefix-path', `${scratch.workdir}/shop`, 'console', 'db'], { input: 'wrong\n' });
  expect(other.stdout).toContain('Password:');
  await expect(second).toHaveAttribute('data-state', 'taken');
  await expectTerminal(second, /Another program has taken the serial console of db; press Enter to take it back/);
  await picture(page, 'terminal-taken');
  await second.click();
  await page.keyboard.press('Enter');
  await expect(second).toHaveAttribute('data-state', 'connected', { timeout: 60_000 });
  await page.keyboard.press('Enter');
  await expectTerminal(second, /login:\s*$/);
});

test('input of any length arrives whole through the serial console', async () => {
  const prefix = ['--prefix-path', `${scratch.workdir}/shop`];
  const text = MEGABYTE.slice(0, 200_000);
  // The port takes a few kilobytes a second. Whichever of these asks for a login now would read some of it too.
  const read = 'killall -STOP getty login; (stty raw -echo; head -c 200000 | md5sum >/tmp/sum) </dev/ttyS0 >/dev/null 2>&1 &';
  await lagoOk(scratch, [...prefix, 'shell', 'db', '-c', `${read} sleep 1`]);
  await lagoOk(scratch, [...prefix, 'console', 'db'], { input: text });
  const wait = 'while ! [ -s /tmp/sum ]; do sleep 0.2; done; cat /tmp/sum; stty sane </dev/ttyS0; killall -CONT getty login; true';
  expect((await lagoOk(scratch, [...prefix, 'shell', 'db', '-c', wait])).stdout).toContain(md5(text));
});

test('UTF-8, a paste of 1 MB, a new size and a flood', async () => {
  const terminal = await openTerminal(page, 'web', 'Terminal');
  // Written one byte at a time, so that every letter is split.
  await runInTerminal(terminal, String.raw`for b in 342 202 254 360 237 220 247; do printf "\\$b"; done; echo`);
  await expectTerminal(terminal, /€🐧/);

  // Until the shell runs the line, it has pasted text marked.
  await typeLine(terminal, "stty -echo; echo be''gun; head -c 1048576 | md5sum; stty echo");
  await expectTerminal(terminal, /begun/);
  await paste(terminal, MEGABYTE);
  await expectTerminal(terminal, new RegExp(md5(MEGABYTE)), BOOT);

  const columns = await runInTerminal(terminal, 'stty size');
  await page.setViewportSize({ width: 1000, height: 700 });
  await expect.poll(async () => await runInTerminal(terminal, 'stty size'), { timeout: 60_000 }).not.toBe(columns);

  await typeLine(terminal, 'yes flood | head -c 104857600');
  await expectTerminal(terminal, /flood\nflood\nflood/);
  await page.keyboard.press('Control+c');
  expect(await runInTerminal(terminal, 'echo after')).toBe('after');
});

test('a large paste on the serial console arrives whole', async () => {
  test.slow();
  const inGuest = async (command: string): Promise<string> => (await shared.lago('shell', 'web', command)).stdout;
  // An emulated serial port takes some kilobytes a second.
  const text = MEGABYTE.slice(0, 65_536);
  // No line editing, and nobody else who reads: getty goes on afterwards.
  const mode = await inGuest('killall -STOP getty; stty -F /dev/ttyS0 -g; stty -F /dev/ttyS0 raw -echo');
  await inGuest('(head -c 65536 /dev/ttyS0 | md5sum >/root/sum) </dev/null >/dev/null 2>&1 &');
  const serial = await openTerminal(page, 'web', 'Serial console');
  await paste(serial, text);
  await expect
    .poll(async () => await inGuest('cat /root/sum'), { timeout: BOOT, intervals: [1000] })
    .toContain(md5(text.replaceAll('\n', '\r')));
  await inGuest(`stty -F /dev/ttyS0 ${mode.trim()}; killall -CONT getty`);
});

test('ten terminals at once', async () => {
  test.slow();
  const terminals: Locator[] = [];
  for (let index = 0; index < 10; index++) {
    const opened = await openTerminal(page, 'web', 'Terminal');
    expect(await runInTerminal(opened, `echo number $((${index} + 1))`)).toBe(`number ${index + 1}`);
    terminals.push(opened);
  }
  await expect(page.getByRole('tablist', { name: 'Terminals' }).getByRole('tab')).toHaveCount(10);
});

test('after a reboot in the guest, terminals connect again and say so', async () => {
  test.slow();
  const serial = await openTerminal(page, 'web', 'Serial console');
  const ssh = await openTerminal(page, 'web', 'Terminal');
  const boot = await runInTerminal(ssh, 'cat /proc/sys/kernel/random/boot_id');
  await typeLine(ssh, 'reboot');
  await expectTerminal(ssh, /— .*; connecting again —/, BOOT);
  await expect(ssh).toHaveAttribute('data-state', 'connected', { timeout: BOOT });
  await expect(vmRow(page, 'web')).toContainText('ready', { timeout: BOOT });
  expect(await runInTerminal(ssh, 'cat /proc/sys/kernel/random/boot_id')).not.toBe(boot);
  await ssh.click();
  await page.keyboard.press('Control+Shift+S');
  await expectTerminal(shown('serial'), /login:[\s\S]*login:/);
  expect(await serial.count()).toBe(1);
});

test('after libvirtd was killed, the serial console connects again and ssh never noticed', async () => {
  const ssh = await openTerminal(page, 'web', 'Terminal');
  await runInTerminal(ssh, 'echo here');
  const serial = await openTerminal(page, 'web', 'Serial console');
  const daemon = ownedProcesses(scratch).find(({ command }) => /^\S*libvirtd /.test(command));
  if (daemon === undefined) throw new Error('no libvirtd runs');
  process.kill(daemon.pid, 'SIGKILL');
  await expectTerminal(serial, /— .* —/);
  await expect(serial).toHaveAttribute('data-state', 'connected', { timeout: 60_000 });
  const lines = (await terminalText(serial)).split('\n').length;
  await serial.click();
  await page.keyboard.press('Enter');
  await expect.poll(async () => (await terminalText(serial)).split('\n').length).toBeGreaterThan(lines);
});

test('after a revert, a shell begins anew in the same tab', async () => {
  test.slow();
  const here = ['--prefix-path', `${scratch.workdir}/shop`];
  await lagoOk(scratch, [...here, 'snapshot', 'base']);
  const ssh = await openTerminal(page, 'web', 'Terminal');
  await runInTerminal(ssh, 'echo later >/root/later');
  await lagoOk(scratch, [...here, 'revert', 'base']);
  await expectTerminal(ssh, /— .*; connect\w* again.* —/, BOOT);
  await expect(ssh).toHaveAttribute('data-state', 'connected', { timeout: BOOT });
  expect(await runInTerminal(ssh, 'ls /root/later 2>/dev/null || echo gone')).toBe('gone');
});

test('where ssh is dead, the tab says which key opens the serial console, and it does', async () => {
  test.slow();
  const ssh = await openTerminal(page, 'web', 'Terminal');
  await typeLine(ssh, 'killall dropbear');
  await expectTerminal(ssh, /ssh does not answer yet; Ctrl\+Shift\+S opens the serial console/, BOOT);
  await expect(ssh).not.toHaveAttribute('data-state', 'connected');
  await ssh.click();
  await page.keyboard.press('Control+Shift+S');
  const serial = shown('serial');
  await expect(serial).toHaveAttribute('data-state', 'connected', { timeout: 60_000 });
  await page.keyboard.press('Enter');
  await expectTerminal(serial, /login:\s*$/);
});

// The last one, since the page cannot be used afterwards.
test('a page that crashed comes back with its terminals', async () => {
  const { app } = shared.desktop;
  const ssh = await openTerminal(page, 'db', 'Terminal');
  await runInTerminal(ssh, 'for i in $(seq 200); do echo line $i; done');
  const text = await terminalText(ssh);
  pageCrashed = true;
  const before = await askMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.getOSProcessId());
  await doInMain(app, ({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.forcefullyCrashRenderer());
  const shownAgain = async (): Promise<string> =>
    await app.evaluate(async ({ BrowserWindow }, old) => {
      const contents = BrowserWindow.getAllWindows()[0]?.webContents;
      if (contents === undefined || contents.isCrashed() || contents.isLoading() || contents.getOSProcessId() === old) return '';
      return String(
        await contents.executeJavaScript(`{
          const shown = document.querySelector('[data-vm="db"][data-kind="ssh"][data-state="connected"]')?.terminal?.buffer.active;
          const lines = Array.from({ length: shown?.length ?? 0 }, (_, index) => shown.getLine(index));
          lines.map((line, index) => (index > 0 && !line.isWrapped ? '\\n' : '') + line.translateToString(true)).join('').trimEnd();
        }`),
      );
    }, before);
  await expect.poll(shownAgain, { timeout: 60_000 }).toBe(text);
});
