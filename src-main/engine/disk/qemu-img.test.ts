import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runChecked } from '../core/run.ts';
import { convertImage, createEmptyDisk, createOverlay, inspectImage, listImageSnapshots, parseSize } from './qemu-img.ts';

const MIB = 1024 * 1024;
let folder = '';
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago disk, '));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('sizes', () => {
  test.each([
    ['101G', 101 * 1024 ** 3],
    ['1.5M', 1.5 * MIB],
    ['512k', 512 * 1024],
    ['10GiB', 10 * 1024 ** 3],
    [' 1T ', 1024 ** 4],
    [65536, 65536],
    ['1', 512],
  ])('%s is %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', 'big', '-1G', '0', '1X', '2000P', '1e5', 'NaN'])('%j is refused', (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  });
});

describe('images', () => {
  test('an empty qcow2 disk and an empty raw disk', async () => {
    await createEmptyDisk({ path: at('empty.qcow2'), format: 'qcow2', size: 64 * MIB });
    expect(await inspectImage(at('empty.qcow2'))).toMatchObject({
      format: 'qcow2',
      virtualSize: 64 * MIB,
      snapshots: [],
      backingFile: undefined,
    });
    await createEmptyDisk({ path: at('empty.raw'), format: 'raw', size: 64 * MIB });
    expect(statSync(at('empty.raw'))).toMatchObject({ size: 64 * MIB });
    expect((await inspectImage(at('empty.raw'), { format: 'raw' })).actualSize).toBeLessThan(MIB);
  });

  test('an overlay declares its backing format, and raw content cannot choose another one', async () => {
    // A guest with a raw disk could write a qcow2 header into it that names any file of this machine.
    await createEmptyDisk({ path: at('trap.qcow2'), format: 'qcow2', size: MIB });
    await createOverlay({ path: at('on-raw.qcow2'), backing: at('trap.qcow2'), backingFormat: 'raw' });
    expect(await inspectImage(at('on-raw.qcow2'))).toMatchObject({
      backingFile: at('trap.qcow2'),
      backingFormat: 'raw',
      virtualSize: statSync(at('trap.qcow2')).size,
    });
  });

  test('an overlay may be larger than its template, not smaller', async () => {
    await createEmptyDisk({ path: at('REPO:base:v1'), format: 'raw', size: 8 * MIB });
    await createOverlay({ path: at('larger.qcow2'), backing: at('REPO:base:v1'), backingFormat: 'raw', size: 16 * MIB });
    expect((await inspectImage(at('larger.qcow2'))).virtualSize).toBe(16 * MIB);
    await expect(
      createOverlay({ path: at('smaller.qcow2'), backing: at('REPO:base:v1'), backingFormat: 'raw', size: MIB }),
    ).rejects.toMatchObject({
      code: 'input.invalid',
    });
  });

  test('nothing is overwritten', async () => {
    writeFileSync(at('mine.qcow2'), 'precious');
    await expect(createEmptyDisk({ path: at('mine.qcow2'), format: 'qcow2', size: MIB })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(createOverlay({ path: at('mine.qcow2'), backing: at('mine.qcow2'), backingFormat: 'raw' })).rejects.toMatchObject({
      code: 'input.invalid',
    });
    expect(statSync(at('mine.qcow2')).size).toBe(8);
  });

  test('errors are sentences that name the image', async () => {
    await expect(inspectImage(at('none.qcow2'))).rejects.toMatchObject({
      code: 'input.missing-file',
      message: expect.stringContaining(at('none.qcow2')),
    });
    writeFileSync(at('broken.qcow2'), 'QFI\xfbnonsense', 'latin1');
    await expect(inspectImage(at('broken.qcow2'), { format: 'qcow2' })).rejects.toMatchObject({
      message: expect.stringMatching(/^The disk image .* cannot be read\. .*\.$/),
    });
    await expect(createOverlay({ path: at('x.qcow2'), backing: at('none.raw'), backingFormat: 'raw' })).rejects.toMatchObject({
      code: 'input.missing-file',
    });
    await expect(inspectImage('nbd:localhost:10809')).rejects.toMatchObject({ code: 'internal' });
  });

  test('snapshots are listed', async () => {
    await createEmptyDisk({ path: at('snapshots.qcow2'), format: 'qcow2', size: MIB });
    expect(await listImageSnapshots(at('snapshots.qcow2'))).toEqual([]);
    for (const name of ['first', 'with space'])
      await runChecked(['qemu-img', 'snapshot', '-c', name, at('snapshots.qcow2')], 'no snapshot');
    const snapshots = await listImageSnapshots(at('snapshots.qcow2'));
    expect(snapshots).toMatchObject([
      { name: 'first', memory: 0 },
      { name: 'with space', memory: 0 },
    ]);
    expect(Math.abs((snapshots[0]?.createdAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  test('a chain becomes one file', async () => {
    await createEmptyDisk({ path: at('below.raw'), format: 'raw', size: MIB });
    await createOverlay({ path: at('above.qcow2'), backing: at('below.raw'), backingFormat: 'raw' });
    const fractions: number[] = [];
    await convertImage(
      { from: at('above.qcow2'), fromFormat: 'qcow2', to: at('flat.qcow2'), toFormat: 'qcow2', compress: true },
      { onFraction: (fraction) => fractions.push(fraction) },
    );
    expect(await inspectImage(at('flat.qcow2'))).toMatchObject({ virtualSize: MIB, backingFile: undefined });
    expect(fractions.at(-1)).toBe(1);
  });

  test('an aborted signal stops before anything is created', async () => {
    await expect(
      createEmptyDisk({ path: at('never.raw'), format: 'raw', size: MIB }, { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ name: 'AbortError' });
    expect(() => statSync(at('never.raw'))).toThrow('ENOENT');
  });
});
