import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Step, startOperation } from '../../core/operation.ts';
import { copyFileTo, linkOrCopy } from './copy-file.ts';

let folder: string;
let other: string;
let from: string;

/** A file with a hole of 8 MiB. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-copy-'));
  other = await mkdtemp('/dev/shm/lago-copy-');
  from = join(folder, 'from');
  await writeFile(from, 'begins');
  await truncate(from, 8 * 1024 * 1024);
});
afterEach(async () => await Promise.all([folder, other].map(async (path) => await rm(path, { recursive: true }))));

async function doing(work: (step: Step) => Promise<void>): Promise<void> {
  await startOperation({ kind: 'export', label: 'test' }, work).done;
}

describe('a file for another environment', () => {
  it('is copied with its holes, and has the mode that is wanted', async () => {
    const to = join(other, 'to');
    await doing(async (step) => await copyFileTo(from, to, 0o600, step));
    const { size, blocks, mode } = await stat(to);
    expect([size, blocks < 1024, mode & 0o777]).toEqual([8 * 1024 * 1024, true, 0o600]);
    expect((await readFile(to)).toString('latin1', 0, 6)).toBe('begins');
  });

  it('is linked on the same file system, and copied on another one', async () => {
    for (const to of [join(folder, 'to'), join(other, 'to')]) await doing(async (step) => await linkOrCopy(from, to, 0o600, step));
    expect([(await stat(join(folder, 'to'))).nlink, (await stat(join(other, 'to'))).nlink]).toEqual([2, 1]);
  });

  it('says that there is no space', async () => {
    await expect(doing(async (step) => await copyFileTo(from, '/dev/full', 0o666, step))).rejects.toMatchObject({
      code: 'host.no-space',
      message: 'No space left for /dev/full.',
    });
  });
});
