import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, type Page, test } from '@playwright/test';
import { expectAccessible } from './support/axe.ts';
import { expectRunning, expectTask, showView, vmRow } from './support/environment.ts';
import { READY, VMS } from './support/forks.ts';
import { lago, lagoOk } from './support/lago.ts';
import { askMain } from './support/main-process.ts';
import { type Scratch } from './support/scratch.ts';
import { picture } from './support/screenshots.ts';
import { type SharedEnvironment, useSharedEnvironment } from './support/shared-environment.ts';
import { type Desktop } from './support/window.ts';

/** Shutting down, rebooting and resetting real guests, from the window and from the command line, on one shared environment. */

const BOOT = 180_000;
let scratch: Scratch;
let desktop: Desktop;
let page: Page;
let lagoHere: SharedEnvironment['lago'];
useSharedEnvironment((shared) => {
  ({ scratch, desktop, page, lago: lagoHere } = shared);
});

async function inGuest(vm: string, command: string): Promise<string> {
  return (await lagoHere('shell', vm, command)).stdout;
}

/** From now on the guest ignores its agent, ACPI and ssh. */
async function makeDeaf(vm: string): Promise<void> {
  await inGuest(vm, 'killall qemu-ga acpid; rm /sbin/poweroff /sbin/reboot; ln -s /bin/true /sbin/poweroff; ln -s /bin/true /sbin/reboot');
}

async function choose(vm: string, action: string): Promise<void> {
  await vmRow(page, vm)
    .getByRole('button', { name: `More for ${vm}` })
    .click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

/** Calls `work` with the addresses that `lago forward` prints, and ends it as Ctrl-C does. Returns what it printed. */
async function whileForwarding(ports: readonly string[], work: (addresses: readonly string[]) => Promise<void>): Promise<string> {
  let failure: unknown;
  const { code, stdout } = await lago(scratch, ['--prefix-path', `${scratch.workdir}/shop`, 'forward', ...ports], {
    onStart: (child) => {
      let printed = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        printed += chunk.toString();
        const addresses = [...printed.matchAll(/ is at (.*)\n/g)].map((match) => match[1] ?? '');
        if (addresses.length < ports.length) return;
        work(addresses)
          .catch((error: unknown) => {
            failure = error;
          })
          .finally(() => child.kill('SIGINT'));
      });
    },
  });
  if (failure !== undefined) throw failure;
  // As any command that SIGINT ended.
  expect(code).toBe(130);
  return stdout;
}

/** What a server at `HOST:PORT` says first. */
async function banner(address: string): Promise<string> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect(Number(port), host);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

async function statusOf(what: string): Promise<string> {
  const { stdout } = await lagoHere('--out-format', 'flat', 'status');
  return new RegExp(`^${what}/status: (.*)$`, 'm').exec(stdout)?.[1] ?? stdout;
}

test('guests reboot, and are reset', async () => {
  const bootId = async (vm: string): Promise<string> => await inGuest(vm, 'cat /proc/sys/kernel/random/boot_id');
  const before = [await bootId('web'), await bootId('db')];
  await choose('web', 'Reboot');
  await expect(vmRow(page, 'web')).toContainText('booting…', { timeout: BOOT });
  await lagoHere('reset', 'db');
  await expectRunning(page, 'shop', VMS);
  const after = [await bootId('web'), await bootId('db')];
  expect(after.filter((id) => before.includes(id))).toEqual([]);
});

test('a guest that ignores a shutdown is powered off by force, and the others run on', async () => {
  await makeDeaf('db');
  const { stderr } = await lagoHere('shutdown', '--force', '3', 'db');
  expect(stderr).toContain('VM db has not shut down: it is powered off.');
  expect(await statusOf('VMs/db')).toBe('down');
  expect(await statusOf('VMs/web')).toBe('running');
  expect(await statusOf('Networks/front')).toBe('up');
});

test('Stop lets guests shut down and counts down; Power off now does not wait', async () => {
  await makeDeaf('web');
  const main = page.getByRole('main');
  await main.getByRole('button', { name: 'Stop', exact: true }).click();
  const header = main.locator('header').first();
  await expect(header).toContainText('shutting down…');
  await expect(header.getByRole('timer')).toHaveText(/^power off in \d\d s$/);
  await showView(page, 'shop', 'Activity');
  await expect(page.getByTestId('task').filter({ hasText: 'Shut down shop' })).toContainText(/power off in \d\d s/);
  await picture(page, 'stopping');
  await header.getByRole('button', { name: 'Power off now' }).click();
  await expectTask(page, 'shop', 'Shut down shop');
  await showView(page, 'shop', 'VMs');
  for (const vm of VMS) await expect(vmRow(page, vm)).toContainText('down');
  await expect(header.getByRole('timer')).toBeHidden();
  expect(await statusOf('Networks/front')).toBe('down');
  await main.getByRole('button', { name: 'Start', exact: true }).click();
  await expectRunning(page, 'shop', VMS);
});

test('ports of VMs can be reached from this machine, from the window and the command line', async () => {
  await inGuest('web', 'mkdir -p /srv && echo hello from web >/srv/index.html && busybox httpd -p 8080 -h /srv');

  await choose('web', 'Forward port…');
  const dialog = page.getByRole('dialog', { name: 'Ports of web' });
  await dialog.getByRole('textbox', { name: 'Port in the VM' }).fill('8080');
  await dialog.getByRole('button', { name: 'Forward port' }).click();
  const link = dialog.getByRole('link', { name: 'Open in browser' });
  const address = (await link.getAttribute('href')) ?? '';
  expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await fetch(address)).text()).toBe('hello from web\n');
  await expectAccessible(page, 'ports of a VM');
  await picture(page, 'ports');
  await dialog.getByRole('button', { name: 'Close the forward to port 8080' }).click();
  await expect(link).toBeHidden();
  await expect(fetch(address)).rejects.toThrow('fetch failed');
  await dialog.getByRole('button', { name: 'Done' }).click();

  const printed = await whileForwarding(['web:8080', 'db:22'], async ([web = '', db = '']) => {
    expect(await (await fetch(web)).text()).toBe('hello from web\n');
    expect(await banner(db)).toMatch(/^SSH-2\.0-/);
  });
  expect(printed).toMatch(/^web:8080 is at http:\/\/127\.0\.0\.1:\d+\ndb:22 is at 127\.0\.0\.1:\d+\n$/);

  await choose('db', 'Copy ssh command');
  await expect
    .poll(async () => await askMain(desktop.app, ({ clipboard }) => clipboard.readText()))
    .toMatch(/^ssh -i .*\/id_ed25519 -o 'ProxyCommand=lago --prefix-path .*\/shop forward db 22 -' .* root@db$/);
  const { stdout } = await lagoOk(scratch, ['--prefix-path', `${scratch.workdir}/shop`, 'forward', 'db', '22', '-'], {
    input: 'SSH-2.0-test\r\n',
  });
  expect(stdout).toMatch(/^SSH-2\.0-/);
});

test('a guest that shuts itself down is down, and says by whom', async () => {
  await inGuest('db', '(sleep 0.2; shutdown -h -P +0) >/dev/null 2>&1 &');
  await expect(vmRow(page, 'db')).toContainText('down, by its guest', { timeout: 60_000 });
  const { stdout } = await lagoHere('--out-format', 'flat', 'status');
  expect(stdout).toContain('VMs/db/status: down');
  expect(stdout).toContain('VMs/db/shut down by: its guest');
});

test('shutdown takes everything down, like stop', async () => {
  await lagoHere('revert', READY);
  await expectRunning(page, 'shop', VMS);
  const { stderr } = await lagoHere('shutdown');
  expect(stderr).not.toContain('powered off');
  for (const what of ['VMs/web', 'VMs/db', 'Networks/front']) expect(await statusOf(what)).toBe('down');
  for (const vm of VMS) await expect(vmRow(page, vm)).toContainText('down');
});
