import { describe, expect, it } from 'vitest';
import {
  detectProvider,
  type GuestExec,
  namedProvider,
  requireServiceName,
  SERVICE_PROVIDERS,
  type ServiceProvider,
  shellWords,
  startService,
  stopService,
} from './services.ts';
import type { ExecResult } from './ssh.ts';

/** A guest with these files that answers commands by their words, and records them. */
function guest(
  files: readonly string[],
  answers: Readonly<Record<string, Partial<ExecResult>>> = {},
): { exec: GuestExec; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    exec: async (argv) => {
      const line = argv.join(' ');
      asked.push(line);
      const file = line.startsWith('test -e ') ? argv[2] : undefined;
      if (file !== undefined) return await Promise.resolve({ code: files.includes(file) ? 0 : 1, stdout: '', stderr: '' });
      return await Promise.resolve({ code: 1, stdout: '', stderr: '', ...answers[line] });
    },
  };
}

function provider(name: string): ServiceProvider {
  const found = SERVICE_PROVIDERS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`There is no provider ${name}.`);
  return found;
}

describe('which provider a guest has', () => {
  it.each([
    [['/usr/bin/systemctl'], 'systemd'],
    [['/bin/systemctl'], 'systemd'],
    [['/usr/bin/systemctl', '/sbin/service', '/usr/bin/docker'], 'systemd'],
    [['/sbin/service'], 'sysvinit'],
    [['/usr/sbin/service', '/usr/bin/docker'], 'sysvinit'],
    [['/usr/bin/docker'], 'systemdcontainer'],
  ])('with %j is %s', async (files, name) => {
    expect((await detectProvider(SERVICE_PROVIDERS, 'web', guest(files).exec)).name).toBe(name);
  });

  it('fails when the guest has none', async () => {
    await expect(detectProvider(SERVICE_PROVIDERS, 'web', guest([]).exec)).rejects.toMatchObject({
      code: 'guest.failed',
      message: 'No service provider detected for web.',
    });
  });

  it.each([
    [{}, undefined],
    [{ service_provider: 'sysvinit' }, 'sysvinit'],
    [{ service_class: 'SystemdService' }, 'systemd'],
    [{ service_class: 'SysVInitService' }, 'sysvinit'],
    [{ service_class: 'systemdcontainer' }, 'systemdcontainer'],
    [{ service_provider: 'systemd', service_class: 'SysVInitService' }, 'systemd'],
  ])('a definition may say: %j', (definition, name) => {
    expect(namedProvider(SERVICE_PROVIDERS, 'web', definition)?.name).toBe(name);
  });

  it('rejects a provider that does not exist', () => {
    expect(() => namedProvider(SERVICE_PROVIDERS, 'web', { service_provider: 'runit' })).toThrow(
      'VM web names the service provider "runit", which does not exist.',
    );
  });
});

describe('the state of a service', () => {
  const status = 'systemctl status --lines=0 sshd';
  it.each([
    ['systemd', [], { [status]: { code: 0 } }, 'active'],
    ['systemd', [], { [status]: { code: 3, stdout: '● sshd\n   Loaded: loaded (/usr/lib)\n   Active: inactive' } }, 'inactive'],
    ['systemd', [], { [status]: { code: 4, stdout: '   Loaded: not-found (Reason: No such file)' } }, 'missing'],
    ['systemd', [], { [status]: { code: 4, stderr: 'Unit sshd.service could not be found.' } }, 'missing'],
    ['sysvinit', ['/sbin/service'], { '/sbin/service sshd status': { code: 0 } }, 'active'],
    ['sysvinit', ['/sbin/service'], { '/sbin/service sshd status': { code: 3, stdout: 'sshd is stopped\n' } }, 'inactive'],
    ['sysvinit', [], { '/usr/sbin/service sshd status': { code: 3, stdout: 'sshd is not running.\n' } }, 'inactive'],
    ['sysvinit', [], { '/usr/sbin/service sshd status': { code: 1, stderr: 'sshd: unrecognized service' } }, 'missing'],
    ['systemdcontainer', [], { [`docker exec vdsmc ${status}`]: { code: 0 } }, 'active'],
    ['systemdcontainer', [], { [status]: { code: 3, stdout: 'Loaded: loaded' } }, 'inactive'],
  ] as const)('by %s, with %j and %j, is %s', async (name, files, answers, state) => {
    expect(await provider(name).state(guest(files, answers).exec, 'sshd')).toBe(state);
  });
});

describe('starting and stopping', () => {
  const status = 'systemctl status --lines=0 sshd';
  const stopped = { code: 3, stdout: 'Loaded: loaded' };

  it('does nothing when nothing has to be done', async () => {
    const up = guest([], { [status]: { code: 0 } });
    await startService(provider('systemd'), 'web', 'sshd', up.exec);
    expect(up.asked).toEqual([status]);
    const down = guest([], { [status]: stopped });
    await stopService(provider('systemd'), 'web', 'sshd', down.exec);
    expect(down.asked).toEqual([status]);
  });

  it('asks the provider, and quotes its output when it refuses', async () => {
    const fine = guest([], { [status]: stopped, 'systemctl start sshd': { code: 0 } });
    await startService(provider('systemd'), 'web', 'sshd', fine.exec);
    expect(fine.asked).toEqual([status, 'systemctl start sshd']);
    const bad = guest([], { [status]: stopped, 'systemctl start sshd': { code: 1, stderr: 'Access denied\n' } });
    await expect(startService(provider('systemd'), 'web', 'sshd', bad.exec)).rejects.toMatchObject({
      code: 'guest.failed',
      message: 'Failed to start service sshd in web: Access denied',
    });
    const stuck = guest([], { [status]: { code: 0 } });
    await expect(stopService(provider('systemd'), 'web', 'sshd', stuck.exec)).rejects.toMatchObject({
      message: 'Failed to stop service sshd in web.',
    });
  });

  it('refuses a service that is not there', async () => {
    await expect(startService(provider('systemd'), 'web', 'sshd', guest([]).exec)).rejects.toThrow('Service sshd not present in web.');
  });

  it('uses the container only for services that it has', async () => {
    const inner = guest([], { [`docker exec vdsmc ${status}`]: stopped, 'docker exec vdsmc systemctl start sshd': { code: 0 } });
    expect((await provider('systemdcontainer').start(inner.exec, 'sshd')).code).toBe(0);
    const outer = guest([], { [status]: stopped, 'systemctl stop sshd': { code: 0 } });
    expect((await provider('systemdcontainer').stop(outer.exec, 'sshd')).code).toBe(0);
  });
});

describe('words for the guest', () => {
  it.each([
    [['systemctl', 'start', 'sshd@1.service'], 'systemctl start sshd@1.service'],
    [['echo', 'a b', "it's", '$(x)', ''], `echo 'a b' 'it'\\''s' '$(x)' ''`],
  ])('%j', (words, line) => expect(shellWords(words)).toBe(line));

  it.each(['--now', '.hidden', 'a b', 'a;b', ''])('"%s" is no name of a service', (name) => {
    expect(() => requireServiceName(name)).toThrow("cannot be a service's name");
  });
});
