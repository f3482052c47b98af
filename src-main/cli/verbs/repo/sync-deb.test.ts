import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeSigningKey } from '../../../engine/repos/deb/archive.test-support.ts';
import { buildDebs } from '../../../engine/repos/merge/build-packages.test-support.ts';
import { type RealOutcome, realCommand } from '../../real-command.test-support.ts';

/** A signed archive with two versions of a package, a build of one's own, and what an environment makes of both. */
let cwd: string;

beforeAll(async () => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'lago-repo-deb-')));
  const [archive, build] = [join(cwd, 'archive'), join(cwd, 'build')];
  const pool = join(archive, 'pool');
  const index = join(archive, 'dists/bookworm/main/binary-amd64/Packages');
  for (const folder of [pool, build, dirname(index)]) mkdirSync(folder, { recursive: true });
  await buildDebs(pool, [
    { name: 'other', version: '1.0', release: '1' },
    { name: 'other', version: '1.1', release: '1' },
    { name: 'tool', version: '1.0', release: '1' },
    { name: 'unwanted', version: '1.0', release: '1' },
  ]);
  await buildDebs(build, [{ name: 'tool', version: '0.9', release: '1' }]);
  const output = (...argv: readonly string[]): Buffer => execFileSync('apt-ftparchive', argv, { cwd: archive, stdio: 'pipe' });
  writeFileSync(index, output('packages', 'pool'));
  const release = output('release', 'dists/bookworm');
  const key = await makeSigningKey(join(cwd, 'gpg'));
  for (const [path, content] of await key.sign(new Map([['Release', release]]), 'inline', '')) {
    writeFileSync(join(archive, 'dists/bookworm', path), content);
  }
  const lines = key.armoured.trimEnd().split('\n');
  writeFileSync(
    join(cwd, 'a.sources'),
    `Types: deb
URIs: file://${archive}
Suites: bookworm
Components: main
X-Lago-Name: local
X-Lago-Exclude: unw*
Signed-By:
${lines.map((line) => ` ${line === '' ? '.' : line}`).join('\n')}
`,
  );
  const disk = { name: 'root', type: 'empty', dev: 'vda', size: '1M' };
  const init = {
    domains: { one: { distro: 'debian12', memory: 64, nics: [{ net: 'lan' }], disks: [disk] } },
    nets: { lan: { type: 'nat', dhcp: { start: 100, end: 254 } } },
    repos: { file: 'a.sources', sources: ['build'] },
  };
  writeFileSync(join(cwd, 'init.json'), JSON.stringify(init));
  expect(await lago('init', 'init.json')).toMatchObject({ code: 0 });
}, 120_000);

afterAll(async () => {
  await lago('destroy', '--yes');
  rmSync(cwd, { recursive: true, force: true });
});

async function lago(...argv: readonly string[]): Promise<RealOutcome> {
  return await realCommand(cwd, ['--reposync-dir', join(cwd, 'store'), ...argv]);
}

it('sync and merge take sources of apt as they take .repo files', { timeout: 120_000 }, async () => {
  const synced = await lago('repo', 'sync');
  expect(synced).toMatchObject({ code: 0, err: expect.not.stringContaining('rror') });
  expect(synced.out).toContain('local-debian12: 2 packages');
  expect(readdirSync(join(cwd, 'store/local-debian12/pool')).toSorted()).toEqual(['other_1.1-1_all.deb', 'tool_1.0-1_all.deb']);
  const list = JSON.parse((await lago('--out-format', 'json', 'repo', 'list')).out) as unknown;
  expect(list).toMatchObject([{ name: 'local-debian12', packages: 2, users: [join(cwd, '.lago/default')] }]);
  expect(await lago('repo', 'merge')).toMatchObject({ code: 0 });
  const merged = join(cwd, '.lago/default/internal_repo/debian12');
  const versions = [...readFileSync(join(merged, 'Packages'), 'utf8').matchAll(/^(?:Package|Version): (.*)$/gm)].map(([, value]) => value);
  expect(versions).toEqual(['other', '1.1-1', 'tool', '0.9-1']);
});

it('sync says what is wrong with a signature', { timeout: 120_000 }, async () => {
  const signed = join(cwd, 'archive/dists/bookworm/InRelease');
  writeFileSync(signed, readFileSync(signed, 'utf8').replace(/^Date: .*$/m, 'Date: Thu, 01 Jan 1970 00:00:00 UTC'));
  const { code, err } = await lago('repo', 'sync');
  expect(code).not.toBe(0);
  expect(err).toContain("The signature of InRelease of the source local-debian12 is not by one of the archive's keys");
  expect(readdirSync(join(cwd, 'store/local-debian12/pool'))).toHaveLength(2);
});
