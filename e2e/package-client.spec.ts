import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { type DebianGuests, debianGuests } from './support/debian-guests.ts';
import { lago, lagoOk, type Outcome } from './support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import { buildDeb } from './support/packages.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';

/** From a distribution and a build to packages that a guest's own apt has installed. */

let guests: DebianGuests;
let scratch: Scratch;

test.beforeAll(() => {
  // The first build takes minutes.
  test.setTimeout(3_600_000);
  guests = debianGuests();
});
useScratch((made) => {
  scratch = made;
});

/** An archive with two packages, as a distribution has them. */
function makeArchive(): string {
  const archive = join(scratch.dir, 'archive');
  mkdirSync(archive);
  buildDeb(archive, 'hello', '1.9');
  buildDeb(archive, 'world', '1.0');
  // Whatever else stands in the folder is no package.
  writeFileSync(join(archive, 'Packages'), execFileSync('apt-ftparchive', ['packages', '.'], { cwd: archive }));
  writeFileSync(join(archive, 'Release'), execFileSync('apt-ftparchive', ['release', '.'], { cwd: archive }));
  return archive;
}

test('a Debian guest installs the newest of what was built and what was synchronised', async () => {
  test.setTimeout(1_200_000);
  const archive = makeArchive();
  const build = join(scratch.dir, 'build');
  mkdirSync(build);
  buildDeb(build, 'hello', '1.10');
  scratch.write('debian.list', `deb [trusted=yes lago-name=distro lago-distro=debian12] file://${archive} ./\n`);
  // The mirrors of Debian cannot be reached from here: apt would only wait for them.
  const install = ['rm -f /etc/apt/sources.list', 'apt-get update --error-on=any', 'apt-get install --yes hello world'];
  scratch.write('install.sh', `set -e\n${install.join('\n')}\n`);
  const file = scratch.write(
    'LagoInitFile',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: {
        web: {
          memory: 512,
          vcpu: 1,
          nics: [{ net: 'front' }],
          disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'debian-cloud-init' }],
          metadata: { 'deploy-scripts': ['install.sh'] },
        },
      },
      repos: { file: 'debian.list', sources: ['build'], client: 'auto', serve: true },
    }),
  );
  const env = { ...guests.env, LAGO__INIT__TEMPLATE_REPO_PATH: guests.repository };
  const store = join(scratch.dir, 'store');
  const command = async (...argv: readonly string[]): Promise<Outcome> =>
    await lagoOk(scratch, ['--ignore-warnings', '--reposync-dir', store, ...argv], { env });
  await command('init', '--allow-path', scratch.dir, file);
  expect((await command('repo', 'sync')).stdout).toContain('distro-debian12: 2 packages, ');
  expect((await command('repo', 'merge')).stdout).toContain('debian12: 2 packages, ');
  expect(readFileSync(join(scratch.dir, '.lago/default/internal_repo/debian12/Packages'), 'utf8')).not.toContain('Version: 1.9');

  await command('start');
  const namespaces = ownedNamespaces(scratch);
  await test.step('cloud-init tells the guest at its first boot', async () => {
    const { stdout } = await command('shell', 'web', 'cat /etc/apt/sources.list.d/lago-packages.list');
    expect(stdout).toContain('http://192.168.200.1:8585/debian12');
  });
  await command('deploy');
  const { stdout } = await command('shell', 'web', "dpkg-query --show --showformat '${Package} ${Version}\\n' hello world; cat /opt/hello");
  expect(stdout).toBe('hello 1.10\nworld 1.0\n1.10\n');
  const log = (await command('repo', 'log', '--vm', 'web')).stdout;
  for (const path of ['all/hello_1\\.10_all\\.deb', 'all/world_1\\.0_all\\.deb', 'Packages\\S*']) {
    expect(log).toMatch(new RegExp(` {2}web {2}GET /debian12/(?:\\./)?${path} {2}200 `));
  }
  expect(await lago(scratch, ['repo', 'log', '--vm', 'nobody'])).toMatchObject({ code: 2 });
  await command('destroy', '--yes');
  await expectNothingLeft(scratch, namespaces);
});
