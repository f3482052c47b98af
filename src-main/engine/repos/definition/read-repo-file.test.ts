import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRepoFile } from './read-repo-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'repo-file-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('reads a file and names it in issues', async () => {
  const path = join(folder, 'a.repo');
  writeFileSync(path, '[a-el7]\nbaseurl=http://a.example\nenabled=x\n');
  const { sections, issues } = await readRepoFile(path, { distros: ['el7'] });
  expect(sections).toMatchObject([{ id: 'a-el7', file: path }]);
  expect(issues).toMatchObject([{ file: path, line: 3, column: 9, path: 'a-el7.enabled', severity: 'error' }]);
});

test('refuses what is no file, is missing or is too large', async () => {
  const large = join(folder, 'large.repo');
  writeFileSync(large, 'x'.repeat(1024 * 1024 + 1));
  await expect(readRepoFile(large, { distros: [] })).rejects.toMatchObject({ code: 'input.invalid' });
  await expect(readRepoFile('/dev/zero', { distros: [] })).rejects.toMatchObject({ code: 'input.invalid' });
  await expect(readRepoFile(folder, { distros: [] })).rejects.toMatchObject({ code: 'input.missing-file' });
  await expect(readRepoFile(join(folder, 'none'), { distros: [] })).rejects.toMatchObject({
    code: 'input.missing-file',
    message: `Unable to find repository file: ${folder}/none`,
  });
});
