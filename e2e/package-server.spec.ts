import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { type CommandOptions, lago, lagoOk, type Outcome } from './support/lago.ts';
import { expectNoProcess, ownedProcesses } from './support/leaks.ts';
import { aptDownload, buildDeb, buildRpm, insideNetwork } from './support/packages.ts';
import { makeScratch, type Scratch } from './support/scratch.ts';

/** Packages of an environment: merged, served to a guest, and logged. */

test.describe.configure({ mode: 'serial' });

let scratch: Scratch;
let prefix: string;
let build: string;

function initFile(repos: object, scripts: readonly string[] = []): object {
  return {
    nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
    domains: {
      web: {
        memory: 192,
        vcpu: 1,
        distro: 'el9',
        nics: [{ net: 'front', ip: '192.168.200.7' }],
        disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }],
        metadata: { 'deploy-scripts': scripts },
      },
    },
    repos,
  };
}

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  prefix = join(scratch.workdir, 'shop');
  build = join(scratch.dir, 'build');
  mkdirSync(build);
  buildRpm(build, 'hello', '1.9', '1.el9');
  buildRpm(build, 'hello', '1.10', '1.el9');
  buildDeb(build, 'world', '2.0');
  scratch.write('fetch.sh', 'set -e\nwget -q -O /root/deployed http://192.168.200.1:8585/el9/noarch/hello-1.10-1.el9.noarch.rpm\n');
  const file = scratch.write('shop.json', JSON.stringify(initFile({ sources: ['build'], client: 'auto' }, ['fetch.sh'])));
  // Because the home folder of the tests is beside it, only files directly in that folder came with the init file.
  await lagoOk(scratch, ['--prefix-name', 'shop', 'init', '--allow-path', build, scratch.workdir, file]);
});

test.afterAll(async () => {
  await command(['destroy', '--yes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

async function command(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return await lago(scratch, ['--prefix-path', prefix, '--ignore-warnings', ...argv], options);
}

async function inGuest(line: string): Promise<string> {
  return (await lagoOk(scratch, ['--prefix-path', prefix, '--ignore-warnings', 'shell', 'web', line])).stdout;
}

/** Runs `lago repo serve` while `work` is done, then ends it by Ctrl-C. */
async function serving(argv: readonly string[], work: () => Promise<void>): Promise<Outcome> {
  let server: ChildProcess | undefined;
  let printed = (): void => undefined;
  const ready = new Promise<void>((resolve) => (printed = resolve));
  const outcome = command(['repo', 'serve', ...argv], {
    onStart: (child) => {
      server = child;
      child.stdout?.on('data', printed);
    },
  });
  await Promise.race([ready, outcome]);
  try {
    await work();
  } finally {
    server?.kill('SIGINT');
  }
  return await outcome;
}

test('says what has to be done first', async () => {
  const unmerged = await command(['repo', 'serve']);
  expect(unmerged).toMatchObject({ code: 2, stderr: expect.stringContaining('has no merged packages yet') });
  expect(await command(['repo', 'serve', '--dir', build])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('are down: no guest could be served'),
  });
  expect((await command(['repo', 'log'])).stdout).toBe('');
});

test('merges a build for two distributions', async () => {
  const merged = await command(['repo', 'merge', '--distro', 'el9', '--distro', 'debian12']);
  expect(merged.stdout).toContain(`el9: 1 package, `);
  expect(merged.stdout).toContain(`debian12: 1 package, `);
  expect(merged.stderr).toContain('1 older package was left out');
});

test('serves a guest and logs its name', async () => {
  test.setTimeout(300_000);
  await lagoOk(scratch, ['--prefix-path', prefix, 'start']);
  const rpm = readFileSync(join(prefix, 'internal_repo/el9/noarch/hello-1.10-1.el9.noarch.rpm'));
  const served = await serving([], async () => {
    const url = 'http://192.168.200.1:8585';
    const size = await inGuest(`wget -q -O /tmp/p ${url}/el9/noarch/hello-1.10-1.el9.noarch.rpm && wc -c </tmp/p`);
    expect(Number(size.trim())).toBe(rpm.length);
    expect(await inGuest(`wget -q -O - ${url}/el9/repodata/repomd.xml`)).toContain('<repomd');
    expect(await inGuest(`wget -q -O - ${url}/../uuid || echo refused`)).toContain('refused');
    const second = await command(['repo', 'serve']);
    expect(second).toMatchObject({ code: 4, stderr: expect.stringContaining('Port 8585 of 192.168.200.1 is in use') });
    // dnf accepts the metadata, in the network of the guests.
    const root = join(scratch.dir, 'root');
    const options = [
      `--installroot=${root}`,
      '--releasever=9',
      `--repofrompath=lago,${url}/el9`,
      '--repo=lago',
      '--setopt=reposdir=/dev/null',
    ];
    const dnf = [
      ...insideNetwork(prefix),
      'dnf',
      ...options,
      '--nogpgcheck',
      '--assumeyes',
      `--setopt=cachedir=${root}/cache`,
      'install',
      'hello',
    ];
    execFileSync(dnf[0] ?? '', dnf.slice(1), { stdio: 'pipe' });
    expect(readFileSync(join(root, 'opt/hello'), 'utf8')).toBe('1.10\n');
  });
  expect(served.stdout).toContain('is at http://192.168.200.1:8585/');
  expect(served.stdout).toContain('baseurl=http://192.168.200.1:8585/el9');
  expect(served.stdout).toContain('deb [trusted=yes] http://192.168.200.1:8585/debian12 ./');
  const log = await command(['repo', 'log', '--vm', 'web']);
  expect(log.stdout).toMatch(/ {2}web {2}GET \/el9\/noarch\/hello-1\.10-1\.el9\.noarch\.rpm {2}200 /);
  expect(await command(['repo', 'log', '--vm', 'nobody'])).toMatchObject({ code: 2 });
  const all = JSON.parse((await command(['--out-format', 'json', 'repo', 'log'])).stdout) as { readonly vm: string | null }[];
  expect(new Set(all.map(({ vm }) => vm))).toEqual(new Set(['web', null]));
});

test('serves while scripts are deployed, and tells guests where packages are', async () => {
  test.setTimeout(300_000);
  await inGuest('mkdir -p /etc/yum.repos.d');
  await lagoOk(scratch, ['--prefix-path', prefix, '--ignore-warnings', 'deploy']);
  expect(await inGuest('wc -c </root/deployed')).not.toBe('0\n');
  expect(await inGuest('cat /etc/yum.repos.d/*')).toContain('\nbaseurl=http://192.168.200.1:8585/el9\n');
  expect(await inGuest('wget -q -O - http://192.168.200.1:8585/ || echo ended')).toContain('ended');
});

test('a server ends with the environment', async () => {
  test.setTimeout(120_000);
  const ended = await serving([], async () => {
    await lagoOk(scratch, ['--prefix-path', prefix, 'stop']);
  });
  expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('the environment was stopped') });
});

test('packages are served with the environment if the init file says so', async () => {
  test.setTimeout(180_000);
  const other = join(scratch.workdir, 'always');
  const file = scratch.write('always.json', JSON.stringify(initFile({ serve: true, port: 8600 })));
  await lagoOk(scratch, ['--prefix-name', 'always', 'init', scratch.workdir, file]);
  const there = async (...argv: string[]): Promise<Outcome> => await lagoOk(scratch, ['--prefix-path', other, ...argv]);
  const fetched = (path: string): string => {
    const argv = [...insideNetwork(other), 'curl', '--silent', '--write-out', ' %{http_code}', `http://192.168.200.1:8600/${path}`];
    return execFileSync('env', argv, { encoding: 'utf8' });
  };
  const servers = (): readonly number[] =>
    ownedProcesses(scratch).flatMap(({ pid, command }) => (command.includes('repo-server.cjs') ? [pid] : []));
  try {
    await there('start');
    expect(fetched('')).toMatch(/ 404$/);
    await there('repo', 'merge', '--distro', 'debian12', build);
    expect(fetched('debian12/Packages')).toMatch(/Package: world\n[^]* 200$/);
    const downloads = join(scratch.dir, 'apt');
    aptDownload(insideNetwork(other), downloads, 'deb [trusted=yes] http://192.168.200.1:8600/debian12 ./', 'world');
    expect(readFileSync(join(downloads, 'world_2.0_all.deb'))).toEqual(readFileSync(join(build, 'world_2.0_all.deb')));
    const [server = 0, ...more] = servers();
    expect(more).toEqual([]);
    process.kill(server, 'SIGKILL');
    await there('start');
    expect(fetched('debian12/Packages')).toMatch(/ 200$/);
    await there('stop');
    expect(servers()).toEqual([]);
  } finally {
    await there('destroy', '--yes');
  }
});
