import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const folder = join(import.meta.dirname, '../../../../../resources/lago_testlib');

it("the tests of lago_testlib pass on the system's Python", { timeout: 120_000 }, () => {
  const { status, stdout, stderr } = spawnSync('/usr/bin/python3', ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
  });
  expect(status, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/^[1-9]\d* passed/m);
});
