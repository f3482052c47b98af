import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { absorbBelow, createLayer, fileBelow, isEmptyLayer, isLayer, mergeBelow, nextLayerPath } from './layers.ts';
import { readVirtualSize } from './qcow2-header.ts';
import { commitImage, createEmptyDisk } from './qemu-img.ts';

const KIB = 1024;
let folder = '';
const at = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago layers, '));
});
afterEach(() => rmSync(folder, { recursive: true }));

function qemuIo(path: string, ...commands: string[]): string {
  return execFileSync('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path], { encoding: 'utf8' });
}
/** Fills 64 KiB at a place with one byte. */
const write = (path: string, place: number, byte: number): string => qemuIo(path, `write -q -P ${byte} ${place * 64}k 64k`);
const expectByte = (path: string, place: number, byte: number): void => {
  expect(qemuIo(path, `read -q -P ${byte} ${place * 64}k 64k`)).not.toContain('Pattern verification failed');
};

async function stack(): Promise<readonly [string, string, string]> {
  const paths = [at('vm_root.qcow2'), at('vm_root.layer-1.qcow2'), at('vm_root.layer-2.qcow2')] as const;
  await createEmptyDisk({ path: paths[0], format: 'qcow2', size: 1024 * KIB });
  write(paths[0], 0, 1);
  write(paths[0], 1, 1);
  await createLayer({ path: paths[1], below: paths[0], belowFormat: 'qcow2' });
  write(paths[1], 1, 2);
  write(paths[1], 2, 2);
  await createLayer({ path: paths[2], below: paths[1], belowFormat: 'qcow2' });
  write(paths[2], 2, 3);
  return paths;
}

test('names are numbered, and known again', () => {
  const next = (path: string, ...taken: string[]): string => nextLayerPath(path, '/images', (one) => taken.includes(one));
  expect(next('/images/vm_root.qcow2')).toBe('/images/vm_root.layer-1.qcow2');
  expect(next('/images/vm_root.layer-1.qcow2', '/images/vm_root.layer-1.qcow2')).toBe('/images/vm_root.layer-2.qcow2');
  expect(next('/images/vm_root.layer-1.outside', '/images/vm_root.layer-1.qcow2')).toBe('/images/vm_root.layer-2.qcow2');
  expect(next('/elsewhere/data.raw')).toBe('/images/data.layer-1.qcow2');
  expect([isLayer('/images/vm_root.layer-12.qcow2'), isLayer('/images/vm_root.qcow2')]).toEqual([true, false]);
});

describe('a stack of layers', () => {
  test('is seen from its top, and each file below without those above', async () => {
    const [base, middle, top] = await stack();
    for (const [place, byte] of [1, 2, 3].entries()) expectByte(top, place, byte);
    for (const [place, byte] of [1, 2, 2].entries()) expectByte(middle, place, byte);
    expect(await fileBelow(top)).toEqual({ path: middle, format: 'qcow2', fixed: false });
    expect(await fileBelow(base)).toBeUndefined();
  });

  test('moves with its folder, and is a disk of its own by links in another one', async () => {
    await stack();
    mkdirSync(at('fork'));
    for (const name of readdirSync(folder).filter((one) => one !== 'fork')) linkSync(at(name), at(`fork/${name}`));
    await createLayer({ path: at('fork/vm_root.layer-3.qcow2'), below: at('fork/vm_root.layer-2.qcow2'), belowFormat: 'qcow2' });
    for (const name of readdirSync(folder).filter((one) => one !== 'fork')) rmSync(at(name));
    renameSync(at('fork'), at('moved'));
    for (const [place, byte] of [1, 2, 3].entries()) expectByte(at('moved/vm_root.layer-3.qcow2'), place, byte);
  });

  test('is the same without a file in the middle, which stays as it was', async () => {
    const [base, middle, top] = await stack();
    const before = statSync(middle).mtimeMs;
    await absorbBelow(top);
    expect(await fileBelow(top)).toEqual({ path: base, format: 'qcow2', fixed: false });
    for (const [place, byte] of [1, 2, 3].entries()) expectByte(top, place, byte);
    expect(statSync(middle).mtimeMs).toBe(before);
    await absorbBelow(top);
    expect(await fileBelow(top)).toBeUndefined();
    await absorbBelow(top);
    rmSync(base);
    rmSync(middle);
    for (const [place, byte] of [1, 2, 3, 0].entries()) expectByte(top, place, byte);
  });

  test('is merged by writing the smaller one into the other, under the name of the upper one', async () => {
    const [base, middle, top] = await stack();
    const small = statSync(top).ino;
    write(base, 5, 1);
    write(middle, 4, 2);
    write(middle, 6, 2);
    const [large, first] = [statSync(middle).ino, statSync(base).ino];
    await mergeBelow(top);
    expect([statSync(top).ino, existsSync(middle), await fileBelow(top)]).toEqual([
      large,
      false,
      { path: base, format: 'qcow2', fixed: false },
    ]);
    expect(statSync(top).ino).not.toBe(small);
    for (const [place, byte] of [1, 2, 3, 0, 2, 1, 2].entries()) expectByte(top, place, byte);
    // The upper one is larger now: it takes in what is below, which stays for whoever removes it.
    await mergeBelow(top);
    expect([statSync(top).ino, statSync(base).ino, await fileBelow(top)]).toEqual([large, first, undefined]);
    for (const [place, byte] of [1, 2, 3, 0, 2, 1, 2].entries()) expectByte(top, place, byte);
  });

  test('is merged again after an interruption', async () => {
    const [base, middle, top] = await stack();
    write(middle, 4, 2);
    await commitImage(top);
    for (const [place, byte] of [1, 2, 3, 0, 2].entries()) expectByte(top, place, byte);
    await mergeBelow(top);
    expect(await fileBelow(top)).toMatchObject({ path: base });
    for (const [place, byte] of [1, 2, 3, 0, 2].entries()) expectByte(top, place, byte);
  });

  test('keeps its size where the file below has another one', async () => {
    const [, middle, top] = await stack();
    write(middle, 4, 2);
    execFileSync('qemu-img', ['resize', '-q', '-f', 'qcow2', top, '2M']);
    await mergeBelow(top);
    expect([await readVirtualSize(top), existsSync(middle)]).toEqual([2048 * KIB, true]);
  });

  test('has an empty top until something is written to it', async () => {
    const [, , top] = await stack();
    const path = at('vm_root.layer-3.qcow2');
    await createLayer({ path, below: top, belowFormat: 'qcow2' });
    expect(await isEmptyLayer(path)).toBe(true);
    qemuIo(path, 'write -q -z 64k 64k');
    expect([await isEmptyLayer(path), await isEmptyLayer(top)]).toEqual([false, false]);
    writeFileSync(at('begun.layer-1.qcow2'), '');
    expect(await isEmptyLayer(at('begun.layer-1.qcow2'))).toBe(true);
  });

  test('can be on a raw disk', async () => {
    await createEmptyDisk({ path: at('data.raw'), format: 'raw', size: 128 * KIB });
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -q -P 9 0 64k', at('data.raw')]);
    await createLayer({ path: at('data.layer-1.qcow2'), below: at('data.raw'), belowFormat: 'raw' });
    expectByte(at('data.layer-1.qcow2'), 0, 9);
    await absorbBelow(at('data.layer-1.qcow2'));
    rmSync(at('data.raw'));
    expectByte(at('data.layer-1.qcow2'), 0, 9);
  });

  test('is not put over an existing file', async () => {
    const [base, middle] = await stack();
    await expect(createLayer({ path: middle, below: base, belowFormat: 'qcow2' })).rejects.toMatchObject({ code: 'input.invalid' });
  });
});

test('the merging of a layer ends with the process that began it', async () => {
  const [, , top] = await stack();
  const [started, bin] = [at('started'), at('bin')];
  mkdirSync(bin);
  writeFileSync(join(bin, 'qemu-img'), '#!/bin/sh\necho $$ >"$STARTED.new"; mv "$STARTED.new" "$STARTED"; exec sleep 300\n', {
    mode: 0o755,
  });
  const module = join(import.meta.dirname, 'layers.ts');
  const code = `const { absorbBelow } = await import(${JSON.stringify(module)}); await absorbBelow(${JSON.stringify(top)});`;
  const hook = join(import.meta.dirname, '../../../scripts/typescript.mjs');
  const child = spawn(process.execPath, ['--import', hook, '--input-type=module', '--eval', code], {
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, STARTED: started },
    stdio: 'ignore',
  });
  await expect.poll(() => existsSync(started), { timeout: 15_000 }).toBe(true);
  child.kill('SIGKILL');
  await expect.poll(() => existsSync(`/proc/${readFileSync(started, 'utf8').trim()}`), { timeout: 15_000 }).toBe(false);
});
