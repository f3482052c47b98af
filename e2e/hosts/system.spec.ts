import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { threeVmsWithBridge } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { type SystemLibvirt, startSystemLibvirt } from '../support/system-libvirt.ts';

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
