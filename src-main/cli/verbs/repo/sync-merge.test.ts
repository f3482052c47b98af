import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runChecked } from '../../../engine/core/run.ts';
import { buildRpms } from '../../../engine/repos/merge/build-packages.test-support.ts';
import { type RealOutcome, realCommand } from '../../real-command.test-support.ts';

/** A distribution on a server, a build of one's own, and what an environment makes of both. */
let cwd: string;
let base: string;
let prefix: string;

beforeAll(async () => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'lago-repo-')));
  base = join(cwd, 'served');
  mkdirSync(join(cwd, 'build'));
  mkdirSync(base);
  const release = '1.el9';
  await buildRpms(base, [
    { name: 'tool', version: '1.0', release },
    { name: 'other', version: '1.0', release },
    { name: 'other', version: '1.1', release },
  ]);
  await buildRpms(join(cwd, 'build'), [{ name: 'tool', version: '0.9', release }]);
  await runChecked(['createrepo_c', '--quiet', base], 'No metadata.');
  writeFileSync(join(cwd, 'a.repo'), `[base-el9]\nbaseurl=file://${base}\n[base-fc41]\nbaseurl=file:///nowhere\n`);
  const init = {
    domains: {
      one: { distro: 'el9', memory: 64, nics: [{ net: 'lan' }], disks: [{ name: 'root', type: 'empty', dev: 'vda', size: '1M' }] },
    },
    nets: { lan: { type: 'nat', dhcp: { start: 100, end: 254 } } },
    repos: { file: 'a.repo', sources: ['build'] },
  };
  writeFileSync(join(cwd, 'init.json'), JSON.stringify(init));
  prefix = join(cwd, '.lago', 'default');
  expect(await lago('init', 'init.json')).toMatchObject({ code: 0 });
}, 120_000);

afterAll(async () => {
  await lago('destroy', '--yes');
  rmSync(cwd, { recursive: true, force: true });
});

async function lago(...argv: readonly string[]): Promise<RealOutcome> {
  return await realCommand(cwd, ['--reposync-dir', join(cwd, 'store'), ...argv]);
}

/** Packages of a merged repository. */
const merged = (...folder: readonly string[]): readonly string[] =>
  readdirSync(join(prefix, 'internal_repo', ...folder, 'noarch')).toSorted();
const WHOLE = ['other-1.1-1.el9.noarch.rpm', 'tool-0.9-1.el9.noarch.rpm'];

describe('without arguments', { timeout: 120_000 }, () => {
  it('merge says what is not synchronised yet', async () => {
    const { code, err } = await lago('repo', 'merge');
    expect(code).toBe(0);
    expect(err).toContain('base-el9 was not synchronised yet, so that none of its packages is merged');
    expect(merged('el9')).toEqual(['tool-0.9-1.el9.noarch.rpm']);
  });

  it('merge of nothing usable fails, says why, and keeps what was merged', async () => {
    expect((await lago('repo', 'merge')).code).toBe(0);
    mkdirSync(join(cwd, 'empty'), { recursive: true });
    const { code, err } = await lago('repo', 'merge', 'empty');
    expect(code).toBe(2);
    expect(err).toContain('No source has a package for el9:');
    expect(err).toContain('empty has no packages.');
    expect(merged('el9')).toEqual(['tool-0.9-1.el9.noarch.rpm']);
  });

  it('sync and merge do what the init file says: own packages first, then what is missing', async () => {
    const { code, out } = await lago('repo', 'sync');
    expect(code).toBe(0);
    expect(out).toContain('base-el9: 2 packages');
    expect(await lago('repo', 'merge')).toMatchObject({ code: 0 });
    expect(merged('el9')).toEqual(WHOLE);
    const list = JSON.parse((await lago('--out-format', 'json', 'repo', 'list')).out) as unknown;
    const added = ['other-1.1-1.el9.noarch', 'tool-1.0-1.el9.noarch'];
    expect(list).toMatchObject([{ name: 'base-el9', packages: 2, users: [prefix], added, removed: [], error: null }]);
  });
});

describe('lago ovirt reposetup', { timeout: 120_000 }, () => {
  const reposetup = async (...argv: readonly string[]): Promise<RealOutcome> => await lago('ovirt', 'reposetup', ...argv);

  it('synchronises and merges, with custom sources first', async () => {
    const named = ['--reposync-yum-config', 'a.repo', '--custom-source', 'build', '--repo-name', 'suite'];
    const { code, out, err } = await reposetup('--rpm-repo', 'another', '--vdsm-dir', 'x', ...named);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(err).toContain('Deprecated option --vdsm-dir ignored');
    expect(out).toContain(`el9: 2 packages in ${join(prefix, 'internal_repo', 'suite', 'el9')}`);
    expect(merged('suite', 'el9')).toEqual(WHOLE);
    expect(readdirSync(join(cwd, 'another', 'base-el9')).length).toBeGreaterThan(1);
  });

  it('takes builds in the environment, and with --skip-sync what is in the store', async () => {
    const builds = join(prefix, 'build', 'vdsm', 'el9');
    mkdirSync(builds, { recursive: true });
    await buildRpms(builds, [{ name: 'vdsm', version: '4.20', release: '1.el9' }]);
    expect(await reposetup('--rpm-repo', 'another', '--reposync-yum-config', 'a.repo', '--skip-sync')).toMatchObject({ code: 0 });
    expect(merged('el9')).toEqual(['other-1.1-1.el9.noarch.rpm', 'tool-1.0-1.el9.noarch.rpm', 'vdsm-4.20-1.el9.noarch.rpm']);
  });

  it('needs a .repo file or a source', async () => {
    const { code, err } = await reposetup();
    expect(code).toBe(2);
    expect(err).toContain('No reposync configuration file found or custom sources specified.');
    expect(await reposetup('--reposync-yum-config', 'none.repo')).toMatchObject({ code: 2 });
  });
});
