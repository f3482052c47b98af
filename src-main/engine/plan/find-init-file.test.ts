import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SNAPSHOT_MANIFEST } from '../../../src-shared/snapshot/exported-snapshot.ts';
import { findInitFile } from './find-init-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-find-'));
});
afterEach(async () => await rm(folder, { recursive: true }));

describe('findInitFile', () => {
  it.each(['LagoInitFile', 'LagoInitFile.yaml', 'lagoinitfile.yml', 'init.json', 'init.yaml', 'Init'])(
    'finds %s in a folder',
    async (name) => {
      for (const other of ['web_root.qcow2', 'notes.json', 'init.sh']) await writeFile(join(folder, other), '');
      await writeFile(join(folder, name), '{}');
      expect(await findInitFile(folder)).toBe(join(folder, name));
    },
  );

  it('returns a file, or a missing path, unchanged', async () => {
    const file = join(folder, 'cluster.yaml');
    expect(await findInitFile(file)).toBe(file);
    await writeFile(file, '{}');
    expect(await findInitFile(file)).toBe(file);
  });

  it('says what to do with an exported snapshot', async () => {
    await writeFile(join(folder, SNAPSHOT_MANIFEST), '{}');
    await expect(findInitFile(folder)).rejects.toMatchObject({
      code: 'input.invalid',
      hint: expect.stringContaining('--resume') as string,
    });
  });

  it('reports that there is none, or lists the candidates', async () => {
    await mkdir(join(folder, 'init'));
    await expect(findInitFile(folder)).rejects.toMatchObject({
      code: 'input.missing-file',
      message: `There is no init file in the folder ${folder}.`,
    });
    for (const name of ['LagoInitFile', 'init.json']) await writeFile(join(folder, name), '{}');
    await expect(findInitFile(folder)).rejects.toMatchObject({
      code: 'input.invalid',
      message: expect.stringContaining('LagoInitFile, init.json') as string,
    });
  });
});
