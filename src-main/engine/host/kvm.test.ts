import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BOOT_SECTOR_EXIT, bootSector } from './boot-sector.ts';
import { bootsOn, findAccelerator, findQemu, kvmState } from './kvm.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-kvm-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the boot sector is 512 bytes with the firmware’s mark', () => {
  const sector = bootSector();
  expect(sector).toHaveLength(512);
  expect([...sector.subarray(510)]).toEqual([0x55, 0xaa]);
  // The offsets given in its listing.
  expect(Buffer.from(sector).readUInt16LE(0xd8)).toBe(7 * 8 - 1);
  expect(Buffer.from(sector).readUInt32LE(0xda)).toBe(0x7ca0);
  expect(Buffer.from(sector).readUInt16LE(0xde)).toBe(0x6f);
  expect(sector[0x98]).toBe(0xb0);
});

test('an override is returned unchanged', async () => {
  expect(await findAccelerator('kvm')).toBe('kvm');
  expect(await findAccelerator('tcg')).toBe('tcg');
});

function fakeQemu(script: string): string {
  const path = join(folder, 'qemu-system-x86_64');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

test('a guest has booted only when it reports it', async () => {
  expect(await bootsOn('kvm', fakeQemu(`exit ${BOOT_SECTOR_EXIT}`))).toBe(true);
  expect(await bootsOn('kvm', fakeQemu('exit 0'))).toBe(false);
  expect(await bootsOn('kvm', fakeQemu('kill -ABRT $$'))).toBe(false);
});

test('a guest that hangs has not booted', async () => {
  expect(await bootsOn('kvm', fakeQemu('exec sleep 60'))).toBe(false);
});

test('the boot sector completes on the real emulator', async () => {
  const qemu = findQemu();
  if (qemu === undefined) throw new Error('QEMU is needed for the tests.');
  expect(await bootsOn('tcg', qemu)).toBe(true);
});

test('the verdict is cached for a boot', async () => {
  const environment = { PATH: folder, XDG_CACHE_HOME: join(folder, 'cache') };
  fakeQemu(`echo x >>'${folder}/runs'; exit ${BOOT_SECTOR_EXIT}`);
  const state = await kvmState({ environment });
  // Without KVM nothing is booted.
  if (state === 'missing' || state === 'denied') return;
  expect(state).toBe('works');
  expect(await findAccelerator('auto', { environment })).toBe('kvm');
  fakeQemu('exit 1 # another program, another answer');
  expect(await kvmState({ environment })).toBe('broken');
  expect(await findAccelerator('auto', { environment })).toBe('tcg');
});
