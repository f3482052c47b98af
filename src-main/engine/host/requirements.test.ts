import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findProgram, searchPath } from './embedded/programs.ts';
import { checkMachine } from './probe.ts';
import {
  checkError,
  checkNamespaces,
  checkPrograms,
  checkTun,
  distributionFamily,
  installCommand,
  namespaceProblem,
  requireEmbedded,
} from './requirements.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-requirements-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const root = process.getuid?.() === 0;

test.each([
  ['ID=debian\nID_LIKE=\n', 'debian'],
  ['NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', 'debian'],
  ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'debian'],
  ['ID=fedora\n', 'fedora'],
  ['ID="almalinux"\nID_LIKE="rhel centos fedora"\n', 'fedora'],
  ['ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', 'suse'],
  ['ID=arch\n', 'arch'],
  ['ID=nixos\n', 'other'],
  ['', 'other'],
])('knows the distribution of %j', (text, family) => expect(distributionFamily(text)).toBe(family));

test('commands name each package once', () => {
  const sudo = root ? '' : 'sudo ';
  expect(installCommand('debian', ['passt', 'passt', 'iproute2'])).toBe(`${sudo}apt-get install --no-install-recommends passt iproute2`);
  expect(installCommand('fedora', ['passt'])).toBe(`${sudo}dnf install passt`);
  expect(installCommand('other', ['passt'])).toBeUndefined();
});

test('this machine has what the tests need', () => {
  expect(checkPrograms().filter((check) => check.state !== 'ok')).toEqual([]);
  expect(() => requireEmbedded()).not.toThrow();
});

test('administration programs are found without being in PATH', () => {
  expect(searchPath({ PATH: 'relative:/opt/x' }).split(':')).toEqual(expect.arrayContaining(['/opt/x', '/usr/sbin']));
  expect(searchPath({ PATH: 'relative' })).not.toContain('relative');
  expect(findProgram('no-such-program')).toBeUndefined();
  writeFileSync(join(folder, 'not-executable'), '');
  expect(findProgram('not-executable', { PATH: folder })).toBeUndefined();
});

test('a missing device is distinguished from a usable one', () => {
  expect(checkTun(join(folder, 'none'))).toMatchObject({ state: 'error', command: 'sudo modprobe tun' });
  expect(checkTun('/dev/null')).toMatchObject({ state: 'ok' });
  const error = checkError(checkTun(join(folder, 'none')), 'host.denied');
  expect(error.message).toContain('is missing, so VMs get no network cards');
  expect(error.hint).toContain('sudo modprobe tun');
});

test('namespaces are tested by creating some', async () => {
  expect(await checkNamespaces()).toMatchObject({ id: 'namespaces', state: 'ok' });
});

test('the setting that forbids namespaces is named', () => {
  const settings = (values: Record<string, string>) => namespaceProblem((path) => values[path], 1000);
  expect(settings({ '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1' }).command).toContain(
    'apparmor_restrict_unprivileged_userns=0',
  );
  expect(settings({ '/proc/sys/kernel/unprivileged_userns_clone': '0' }).command).toContain('unprivileged_userns_clone=1');
  expect(settings({ '/proc/sys/user/max_user_namespaces': '0' }).command).toContain('max_user_namespaces');
  expect(settings({}).remedy).toContain('qemu:///system');
  expect(namespaceProblem(() => '1', 0).detail).toContain('container');
});

test('the machine is checked as a whole', async () => {
  const environment = { ...process.env, XDG_CACHE_HOME: folder };
  const checks = await checkMachine({ resourcesDir: join(import.meta.dirname, '../../../resources'), environment });
  expect(checks.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['libvirtd', 'qemu-img', 'namespaces', 'tun', 'kvm', 'uplink', 'memory', 'disk', 'scripts']),
  );
  expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length);
  for (const check of checks) {
    expect(check.detail).toMatch(/\.$/);
    if (check.state === 'ok') expect(check.remedy).toBeNull();
  }
  const without = await checkMachine({ resourcesDir: folder, environment });
  expect(without.find(({ id }) => id === 'scripts')).toMatchObject({
    state: 'error',
    detail: expect.stringContaining('relay.cjs') as string,
  });
});
