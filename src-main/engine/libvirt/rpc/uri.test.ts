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
    'qemu+ssh://example.org/system',
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
});
