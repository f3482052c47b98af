import { describe, expect, it } from 'vitest';
import type { EngineError } from '../../../../src-shared/errors.ts';
import { parseLibvirtUri } from './uri.ts';

const env = { XDG_RUNTIME_DIR: '/run/user/1000', HOME: '/home/me' };

describe('parseLibvirtUri', () => {
  it.each([
    ['qemu:///system', 'qemu:///system', ['/run/libvirt/virtqemud-sock', '/run/libvirt/libvirt-sock'], false],
    ['qemu:///session', 'qemu:///session', ['/run/user/1000/libvirt/virtqemud-sock', '/run/user/1000/libvirt/libvirt-sock'], false],
    ['qemu:///system?socket=/a/b%20c', 'qemu:///system', ['/a/b c'], false],
    ['qemu+unix:///system?socket=/s', 'qemu:///system', ['/s'], false],
    ['test:///default', 'test:///default', ['/run/user/1000/libvirt/libvirt-sock', '/run/libvirt/libvirt-sock'], false],
    ['test:///abs/file.xml?socket=/s', 'test:///abs/file.xml', ['/s'], true],
  ])('%s', (uri, name, sockets, privateState) => {
    expect(parseLibvirtUri(uri, env)).toMatchObject({ uri, name, sockets, privateState });
  });

  it('finds the session socket without a runtime directory', () => {
    expect(parseLibvirtUri('qemu:///session', { HOME: '/home/me' }).sockets[1]).toBe('/home/me/.cache/libvirt/libvirt-sock');
  });

  it.each([
    'qemu://example.org/system',
    'qemu+ssh:///system',
    'qemu+ssh://-oProxyCommand=x/system',
    'qemu+ssh://-l@example.org/system',
    'qemu+ssh://example.org:0/system',
    'qemu+ssh://example.org/system?keyfile=id',
    'qemu+ssh://example.org/system?netcat=nc',
    'qemu+tcp:///system',
    'qemu:///embed',
    'xen:///system',
    'qemu:///system?socket=relative',
    'qemu:///system?no_verify=1',
    `qemu:///system?socket=/${'x'.repeat(107)}`,
    '',
  ])('refuses %j', (uri) => {
    expect(() => parseLibvirtUri(uri, env)).toThrow(expect.objectContaining({ code: 'input.invalid' }) as EngineError);
  });

  it.each([
    [
      'qemu+ssh://example.org/system',
      { client: 'program', host: 'example.org', port: undefined, user: undefined, verify: true, helper: true },
    ],
    ['qemu+ssh://me@[fe80::1]:22/session', { host: 'fe80::1', port: 22, user: 'me' }],
    [
      'qemu+ssh://h/system?socket=/s&command=/x/ssh&keyfile=/k&known_hosts=/h&no_verify=1',
      { command: '/x/ssh', keyFile: '/k', knownHosts: '/h', verify: false, helper: false },
    ],
    ['qemu+libssh2://h/system', { client: 'built-in', command: 'ssh' }],
  ])('%s', (uri, ssh) => {
    expect(parseLibvirtUri(uri, env).ssh).toMatchObject(ssh);
  });

  it('looks for the sockets of another machine there', () => {
    expect(parseLibvirtUri('qemu+ssh://h/system', env)).toMatchObject({
      name: 'qemu:///system',
      sockets: ['/var/run/libvirt/virtqemud-sock', '/var/run/libvirt/libvirt-sock'],
    });
    expect(parseLibvirtUri('qemu+ssh://h/session', env).sockets[1]).toBe('${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/libvirt/libvirt-sock');
  });
});
