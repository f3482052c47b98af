import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clientFile, servedRepos } from './client-file.ts';

test('repositories are found by their metadata', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lago-served-'));
  try {
    expect(await servedRepos(folder)).toEqual([]);
    mkdirSync(join(folder, '.merged/el9/repodata'), { recursive: true });
    writeFileSync(join(folder, '.merged/el9/repodata/repomd.xml'), '');
    symlinkSync('.merged/el9', join(folder, 'el9'));
    mkdirSync(join(folder, 'debian12'));
    writeFileSync(join(folder, 'debian12/Packages'), '');
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'Packages.gz'), '');
    expect(await servedRepos(folder)).toEqual([
      { distro: '', kind: 'deb' },
      { distro: 'debian12', kind: 'deb' },
      { distro: 'el9', kind: 'rpm' },
    ]);
    writeFileSync(join(folder, 'el9/repodata/repomd.xml'), '<repomd><data type="modules"></data></repomd>');
    expect(await servedRepos(folder)).toContainEqual({ distro: 'el9', kind: 'rpm', modular: true });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a missing folder is an error', async () => {
  await expect(servedRepos('/nowhere/at/all')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('dnf and apt get the address of their distribution', () => {
  const url = 'http://192.168.200.1:8585/';
  expect(clientFile(url, { distro: 'el9', kind: 'rpm' })).toEqual({
    path: '/etc/yum.repos.d/lago-packages.repo',
    content: expect.stringContaining('\nbaseurl=http://192.168.200.1:8585/el9\n') as string,
  });
  expect(clientFile(url, { distro: 'debian12', kind: 'deb' }).content).toBe('deb [trusted=yes] http://192.168.200.1:8585/debian12 ./\n');
  expect(clientFile(url, { distro: 'el9', kind: 'rpm' }).content).toMatch(/\nmodule_hotfixes=1\n/);
  expect(clientFile(url, { distro: 'el9', kind: 'rpm', modular: true }).content).not.toContain('module_hotfixes');
  expect(clientFile(url, { distro: '', kind: 'deb' }).content).toBe('deb [trusted=yes] http://192.168.200.1:8585/ ./\n');
});
