import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { emptyVm } from '../support/init-files.ts';
import { lago, lagoOk } from '../support/lago.ts';
import { useScratch } from '../support/prologue.ts';
import type { Scratch } from '../support/scratch.ts';
import { virsh } from '../support/virsh.ts';

/** What virsh and qemu-img do to an environment behind Lago's back. */

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

const images = (): string => join(scratch.dir, '.lago/default/images');
const layers = (): readonly string[] => readdirSync(images()).sort();
const domain = (): string => virsh(scratch, 'list', '--name');
const inUse = (): string => virsh(scratch, 'domblklist', domain()).split(/\s+/)[1] ?? '';
const status = async (): Promise<string> => (await lagoOk(scratch, ['status'])).stdout;
const tree = async (): Promise<string> => (await lagoOk(scratch, ['snapshot', '--tree'])).stdout;

function write(file: string, byte: number): void {
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -P ${byte} 0 64k`, file]);
}
/** qemu-io fails when it reads anything else. */
function reads(file: string, byte: number): boolean {
  return spawnSync('qemu-io', ['-f', 'qcow2', '-r', '-c', `read -P ${byte} 0 64k`, file]).status === 0;
}

test('a disk that virsh has put on another file is told of, and nothing on it is lost', async () => {
  await lagoOk(scratch, ['init', emptyVm(scratch)]);
  write(join(images(), 'silent_root.qcow2'), 7);
  await lagoOk(scratch, ['start']);
  await lagoOk(scratch, ['snapshot', 'base']);
  expect([await status(), await tree()]).toEqual([expect.not.stringContaining('problem'), expect.not.stringContaining('changed')]);
  const file = join(images(), 'silent_root.layer-1.outside');
  virsh(scratch, 'snapshot-create-as', domain(), 'outside', '--disk-only', '--no-metadata');
  expect(inUse()).toBe(file);
  expect(await status()).toContain(`Another program has put disk vda on ${file}`);
  await lagoOk(scratch, ['stop']);
  write(file, 9);
  await lagoOk(scratch, ['start']);
  expect([inUse(), await status()]).toEqual([file, expect.not.stringContaining('Another program')]);
  await lagoOk(scratch, ['snapshot', 'more']);
  for (const name of ['base', 'more']) await lagoOk(scratch, ['snapshot', '--delete', name]);
  // QEMU may not have written all that it knows while it runs.
  await lagoOk(scratch, ['stop']);
  const [left = '', ...more] = layers();
  expect([more, reads(join(images(), left), 9)]).toEqual([[], true]);
  execFileSync('qemu-img', ['check', '-q', join(images(), left)]);
  await lagoOk(scratch, ['destroy', '--yes']);
});

test('a snapshot of which a file was written to is not reverted to until it is accepted; the work of virsh on a disk is left alone', async () => {
  await lagoOk(scratch, ['init', emptyVm(scratch)]);
  await lagoOk(scratch, ['start']);
  await lagoOk(scratch, ['snapshot', 'base']);
  await lagoOk(scratch, ['snapshot', 'more']);
  await lagoOk(scratch, ['stop']);
  expect(await tree()).not.toContain('changed');
  write(join(images(), 'silent_root.layer-1.qcow2'), 5);
  expect(await tree()).toContain('files changed by another program: silent');
  await lagoOk(scratch, ['start']);
  virsh(scratch, 'blockcopy', domain(), 'vda', join(scratch.dir, 'copy.qcow2'), '--transient-job', '--wait');
  const busy = await lago(scratch, ['snapshot', '--delete', 'base']);
  expect([busy.code, busy.stderr]).toEqual([4, expect.stringContaining('Another program works on disk vda of VM silent')]);
  virsh(scratch, 'blockjob', domain(), 'vda', '--abort');
  await lagoOk(scratch, ['start']);
  expect(await tree()).toMatch(/^more .*files changed by another program: silent/);
  const refused = await lago(scratch, ['revert', 'more']);
  expect(refused.stderr).toContain('The snapshot "more" is not what it was');
  await lagoOk(scratch, ['snapshot', '--edit', 'more', '--accept']);
  expect(await tree()).not.toContain('changed');
  await lagoOk(scratch, ['revert', 'more']);
  expect(await status()).not.toContain('problem');
  await lagoOk(scratch, ['destroy', '--yes']);
});
