import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { dropPlan, expectTask, showView } from '../support/environment.ts';
import { twoVms } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { dhcpServers, expectNothingLeft, type OwnedProcess, ownedNamespaces, ownedProcesses } from '../support/leaks.ts';
import { useScratch } from '../support/prologue.ts';
import { removeFolder, type Scratch } from '../support/scratch.ts';
import { picture } from '../support/screenshots.ts';
import { closeDesktops, openDesktop } from '../support/window.ts';

/** An environment that loses its host in various ways: every verb reports the truth, and stop and destroy end it. */

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Starts two VMs without waiting for their guests, which these tests do not need. */
async function startTwo(): Promise<void> {
  await lagoOk(scratch, ['init', twoVms(scratch, 'two')]);
  await lagoOk(scratch, ['start']);
}

function owned(program: RegExp): readonly OwnedProcess[] {
  return ownedProcesses(scratch).filter(({ command }) => program.test(command));
}

/** libvirtd mentions the run's folder in its environment or on its command line. */
const libvirtd = (): readonly OwnedProcess[] => owned(/^\S*libvirtd /);
const machines = (): readonly OwnedProcess[] => owned(/^\S*qemu-system/);

async function vmStates(): Promise<readonly string[]> {
  const { stdout } = await lagoOk(scratch, ['--out-format', 'json', 'status']);
  const status = JSON.parse(stdout) as { Prefix: { VMs: Record<string, { status: string }> } };
  return Object.values(status.Prefix.VMs).map((vm) => vm.status);
}

test('sockets that a logout removed: status says so, start begins anew, stop and destroy end it', async () => {
  await startTwo();
  const namespaces = ownedNamespaces(scratch);
  removeFolder(join(scratch.dir, 'run', 'lago'));
  const status = await lagoOk(scratch, ['status']);
  expect(status.stderr).toContain('its sockets in');
  expect(status.stderr).toContain('"lago stop"');
  expect(status.stdout + status.stderr).not.toContain('libvirt-daemon-system');
  expect(await vmStates()).toEqual(['unknown', 'unknown']);
  expect(machines()).toHaveLength(2);

  await lagoOk(scratch, ['start']);
  expect(await vmStates()).toEqual(['running', 'running']);
  expect(machines()).toHaveLength(2);

  removeFolder(join(scratch.dir, 'run', 'lago'));
  await lagoOk(scratch, ['stop']);
  expect(machines()).toEqual([]);
  expect(await vmStates()).toEqual(['down', 'down']);

  await lagoOk(scratch, ['start']);
  removeFolder(join(scratch.dir, 'run', 'lago'));
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});

test('a libvirt that hangs: verbs say so in time, stop and destroy end everything', async () => {
  await startTwo();
  const namespaces = ownedNamespaces(scratch);
  for (const { pid } of libvirtd()) end(pid, 'SIGSTOP');
  // Each takes its whole time limit.
  const [start, states] = await Promise.all([lago(scratch, ['start']), vmStates()]);
  expect(start.code).toBe(3);
  expect(start.stderr).toContain('does not answer');
  expect(start.stderr).toContain('lago stop');
  expect(states).toEqual(['unknown', 'unknown']);
  expect((await lago(scratch, ['stop', 'web'])).code).toBe(3);
  await lagoOk(scratch, ['stop']);
  expect(machines()).toEqual([]);

  await lagoOk(scratch, ['start']);
  for (const { pid } of libvirtd()) end(pid, 'SIGSTOP');
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});

test('a QEMU that hangs: a snapshot gives up, the others go on, and stop works', async () => {
  test.slow();
  await startTwo();
  const [hung] = machines();
  if (hung === undefined) throw new Error('no VM runs');
  end(hung.pid, 'SIGSTOP');
  const snapshot = await lago(scratch, ['snapshot', 'clean']);
  expect(snapshot.code).toBe(7);
  expect(snapshot.stderr).toMatch(/VM \S+/);
  // After SIGCONT it may be paused: the next verb finishes what could not be undone.
  end(hung.pid, 'SIGCONT');
  await lagoOk(scratch, ['snapshot', 'clean']);
  expect(await vmStates()).toEqual(['running', 'running']);
  for (const { pid } of machines()) end(pid, 'SIGSTOP');
  await lagoOk(scratch, ['stop']);
  expect(machines()).toEqual([]);
  await lagoOk(scratch, ['destroy', '--yes']);
});

test('a DHCP server that died is started again by start, and VMs go on', async () => {
  await startTwo();
  const before = machines().map(({ pid }) => pid);
  const servers = dhcpServers(scratch);
  expect(servers.length).toBeGreaterThan(0);
  for (const pid of servers) end(pid, 'SIGKILL');
  await expect.poll(() => dhcpServers(scratch)).toEqual([]);
  const said = 'does not run: VMs get neither addresses nor names. “lago start” starts it again.';
  expect((await lagoOk(scratch, ['status'])).stderr).toContain(said);
  await lagoOk(scratch, ['start']);
  expect((await lagoOk(scratch, ['status'])).stderr).not.toContain(said);
  expect(dhcpServers(scratch).length).toBeGreaterThan(0);
  expect(machines().map(({ pid }) => pid)).toEqual(before);
  await lagoOk(scratch, ['destroy', '--yes']);
});

test('a folder that was removed while it ran: the host is listed, and can be ended', async () => {
  await startTwo();
  const namespaces = ownedNamespaces(scratch);
  const prefix = join(scratch.dir, '.lago', 'default');
  expect((await lagoOk(scratch, ['list', '--running'])).stdout).toMatch(new RegExp(`^${prefix} \\(pid \\d+\\)$`, 'm'));
  removeFolder(join(scratch.dir, '.lago'));
  const listed = await lagoOk(scratch, ['list', '--running']);
  expect(listed.stdout).toContain(`${prefix} (pid `);
  expect(listed.stdout).toContain('its folder is gone');
  expect(listed.stderr).toContain('lago destroy --orphans');
  await lagoOk(scratch, ['destroy', '--orphans', '--yes']);
  expect((await lagoOk(scratch, ['list', '--running'])).stdout).not.toContain(prefix);
  await expectNothingLeft(scratch, namespaces);
});

test('a command, libvirt and the host are killed: the window undoes, reconnects, and tells what ended', async () => {
  const { page } = await openDesktop(scratch);
  await dropPlan(page, twoVms(scratch, 'lost'), ['web', 'db']);
  await page.getByRole('switch', { name: 'Internet access for guests' }).uncheck();
  await page.getByRole('textbox', { name: 'Environment name' }).fill('lost');
  await page.getByRole('button', { name: 'Create and start' }).click();
  const row = page.getByRole('table', { name: 'VMs' }).getByRole('row', { name: 'web', exact: true });
  // Wait for the other VM and the journal too: a libvirt that hangs during a start is another test.
  await expectTask(page, 'lost', 'Create lost');
  await showView(page, 'lost', 'VMs');
  await expect(row).toContainText('running');
  // Kill a concurrent command while the VMs are paused: the window undoes its work by itself.
  const prefix = ['--prefix-path', join(scratch.workdir, 'lost')];
  expect((await lago(scratch, [...prefix, 'snapshot', 'half'], { env: { LAGO_FAULT: 'kill:6' } })).code).toBe(137);
  await expectTask(page, 'lost', 'Finish the interrupted snapshot “half” of lost');
  await showView(page, 'lost', 'VMs');
  await expect(row).toContainText('running');

  const [daemon] = libvirtd();
  if (daemon === undefined) throw new Error('no libvirtd runs');
  end(daemon.pid, 'SIGSTOP');
  await expect(page.getByRole('main')).toContainText('reconnecting…', { timeout: 60_000 });
  await expect(page.getByRole('main')).not.toContainText('It can be destroyed');
  end(daemon.pid, 'SIGKILL');
  await expect(row).toContainText('running', { timeout: 60_000 });
  await expect(page.getByRole('main')).not.toContainText('reconnecting…');

  // Everything of the environment ends with its first process, as when the machine is restarted.
  const record = join(scratch.workdir, 'lost', 'host', 'cell');
  const [cell = '', , boot = ''] = readFileSync(record, 'utf8').split(' ');
  end(Number(cell), 'SIGKILL');
  const told = page
    .getByRole('main')
    .getByRole('status')
    .filter({ hasText: `(pid ${cell}) ended unexpectedly, and its VMs with it.` });
  await expect(told).toBeVisible();
  await expect(row).toContainText('down');
  await picture(page, 'host-ended');
  expect((await lagoOk(scratch, [...prefix, 'status'])).stderr).toContain('ended unexpectedly');
  removeFolder(join(scratch.dir, 'run', 'lago'));
  writeFileSync(record, readFileSync(record, 'utf8').replace(boot, '00000000-0000-4000-8000-000000000000'));
  expect((await lagoOk(scratch, [...prefix, 'status'])).stderr).toContain('The machine was restarted');
  await lagoOk(scratch, [...prefix, 'start']);
  await expect(row).toContainText('running');
  await expect(told).toBeHidden();
  await closeDesktops();
  await lagoOk(scratch, [...prefix, 'destroy', '--yes']);
});

test('snapshots that are killed or cancelled leave nothing, VMs go on, and names are free', async () => {
  await startTwo();
  const images = join(scratch.dir, '.lago', 'default', 'images');
  const disks = (): readonly string[] => readdirSync(images).filter((name) => name.endsWith('.qcow2'));
  expect(disks().length).toBe(2);
  for (const point of [2, 4, 6, 8]) {
    expect((await lago(scratch, ['snapshot', 'new'], { env: { LAGO_FAULT: `kill:${point}` } })).code).toBe(137);
    const status = await lagoOk(scratch, ['status']);
    // Point 2 is still before the journal is written.
    if (point > 2) expect(status.stderr).toContain('was interrupted');
    await lagoOk(scratch, ['start']);
    expect(await vmStates()).toEqual(['running', 'running']);
    expect((await lagoOk(scratch, ['snapshot', '--list'])).stdout).not.toContain('new');
  }
  await lagoOk(scratch, ['snapshot', 'base']);
  const cancelled = await lago(scratch, ['snapshot', 'new'], {
    onStart: (child) => {
      const watching = setInterval(() => {
        if (!pendingKind()) return;
        clearInterval(watching);
        child.kill('SIGINT');
      }, 5);
      child.once('close', () => clearInterval(watching));
    },
  });
  expect(cancelled.code).toBe(130);
  expect(await vmStates()).toEqual(['running', 'running']);
  for (const [args, point] of [
    [['snapshot', '--delete', 'base'], 3],
    [['revert', 'base'], 9],
  ] as const) {
    expect((await lago(scratch, args, { env: { LAGO_FAULT: `kill:${point}` } })).code).toBe(137);
    await lagoOk(scratch, ['snapshot', 'after']);
    expect(await vmStates()).toEqual(['running', 'running']);
    await lagoOk(scratch, ['snapshot', '--delete', 'after']);
    if (args[0] === 'snapshot') await lagoOk(scratch, ['snapshot', 'base']);
  }
  await lagoOk(scratch, ['destroy', '--yes']);
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
});

function pendingKind(): boolean {
  return readFileSync(join(scratch.dir, '.lago', 'default', 'lago-desktop.json'), 'utf8').includes('"kind": "snapshot"');
}
