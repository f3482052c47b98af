import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { type SystemLibvirt, startSystemLibvirt } from '../support/hosts/system-libvirt.ts';
import { threeVmsWithBridge } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { buildDeb } from '../support/packages.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';

let scratch: Scratch;
let libvirt: SystemLibvirt;
let started: SystemLibvirt | undefined;
test.beforeEach(async () => {
  scratch = makeScratch();
  libvirt = await startSystemLibvirt(scratch);
  started = libvirt;
});
test.afterEach(async () => {
  // Undefined when the start itself failed.
  await started?.stop();
  started = undefined;
  scratch.remove();
});

test('an environment on the machine’s own libvirt: leases, start, shell, snapshot, destroy', async () => {
  const leases = join(scratch.dir, 'leases');
  const here = { enter: libvirt.enter, env: { LAGO_LEASE_DIR: leases, LAGO_LIBVIRT_URL: 'qemu:///system' } };
  const file = threeVmsWithBridge(scratch, 'trio');
  await lagoOk(scratch, ['init', file], here);
  expect(readdirSync(leases).filter((name) => name.endsWith('.lease'))).toEqual(['200.lease']);
  const uuid = readFileSync(join(scratch.dir, '.lago/default/uuid'), 'utf8');
  expect(JSON.parse(readFileSync(join(leases, '200.lease'), 'utf8'))).toEqual([join(scratch.dir, '.lago/default/uuid'), uuid]);

  // A second environment on the same libvirt gets other networks.
  await lagoOk(scratch, ['--prefix-name', 'second', 'init', file], here);
  expect(readdirSync(leases).filter((name) => name.endsWith('.lease'))).toEqual(['200.lease', '201.lease']);

  await lagoOk(scratch, ['start', 'one', 'two'], here);
  expect(libvirt.virsh('list', '--name').trim().split('\n').sort()).toEqual([`${uuid.slice(0, 8)}-one`, `${uuid.slice(0, 8)}-two`]);
  expect(libvirt.virsh('net-list', '--name').trim().split('\n').sort()).toEqual([`${uuid.slice(0, 4)}-back`, `${uuid.slice(0, 4)}-front`]);
  expect((await lagoOk(scratch, ['shell', 'one', 'hostname'], here)).stdout).toBe('one\n');
  await lagoOk(scratch, ['shell', 'one', 'echo first > /root/mark; sync'], here);
  await lagoOk(scratch, ['snapshot', 'base'], here);
  await lagoOk(scratch, ['shell', 'one', 'echo second > /root/mark; sync'], here);
  await lagoOk(scratch, ['revert', 'base'], here);
  expect((await lagoOk(scratch, ['shell', 'one', 'cat /root/mark'], here)).stdout).toBe('first\n');

  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes'], here);
  expect(libvirt.virsh('list', '--all', '--name').trim()).toBe('');
  expect(libvirt.virsh('net-list', '--all', '--name').trim()).toBe('');
  expect(readdirSync(leases).filter((name) => name.endsWith('.lease'))).toEqual([]);
  expect(existsSync(join(scratch.dir, '.lago'))).toBe(false);
});

test('packages are served on the machine’s own libvirt while the environment runs, and no longer', async () => {
  const here = { enter: libvirt.enter, env: { LAGO_LEASE_DIR: join(scratch.dir, 'leases'), LAGO_LIBVIRT_URL: 'qemu:///system' } };
  mkdirSync(join(scratch.dir, 'build'));
  buildDeb(join(scratch.dir, 'build'), 'hello', '2.0');
  const disk = { name: 'root', type: 'template', template_name: 'lago-sample', dev: 'vda', format: 'qcow2' };
  const init = {
    domains: { one: { distro: 'debian12', memory: 192, nics: [{ net: 'front' }], disks: [disk] } },
    nets: { front: { type: 'nat', management: true, dhcp: { start: 100, end: 200 } } },
    repos: { sources: ['build'], serve: true },
  };
  const file = scratch.write('served.json', JSON.stringify(init));
  await lagoOk(scratch, ['init', '--allow-path', scratch.dir, file], here);
  await lagoOk(scratch, ['repo', 'merge'], here);
  await lagoOk(scratch, ['start'], here);
  const prefix = join(scratch.dir, '.lago/default');
  const server = serverOf(prefix);
  expect(server).toHaveLength(1);
  const { gw } = JSON.parse(readFileSync(join(prefix, 'virt/net-front'), 'utf8')) as { gw: string };
  const index = await lagoOk(scratch, ['shell', 'one', `wget -q -O - http://${gw}:8585/debian12/Packages`], here);
  expect(index.stdout).toContain('Package: hello\n');
  expect((await lagoOk(scratch, ['repo', 'log'], here)).stdout).toMatch(/ one +GET \/debian12\/Packages +200 /);

  await lagoOk(scratch, ['stop'], here);
  await expect.poll(() => serverOf(prefix)).toEqual([]);
  await lagoOk(scratch, ['destroy', '--yes'], here);
});

/** The processes that serve an environment's packages. */
function serverOf(prefix: string): readonly string[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return all.filter((pid) => {
    const words = commandLine(pid);
    return words.includes('repo-server.cjs') && words.includes(prefix);
  });
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    // It has ended meanwhile.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

test('the machine’s own libvirt is out of reach of a confined run', async () => {
  const file = threeVmsWithBridge(scratch, 'trio');
  await lagoOk(scratch, ['init', file]);
  await lagoOk(scratch, ['destroy', '--yes']);
  const refused = await lago(scratch, ['--libvirt_url', 'qemu:///system', 'init', file]);
  expect(refused.code).toBe(0); // init does not connect to libvirt
  const attempt = await lago(scratch, ['--libvirt_url', 'qemu:///system', 'start']);
  expect(attempt.code).toBe(3);
  expect(attempt.stderr).toContain('confined run');
  await lagoOk(scratch, ['--libvirt_url', 'qemu:///system', 'destroy', '--yes']);
});
