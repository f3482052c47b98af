import { describe, expect, it } from 'vitest';
import type { EngineError } from '../../../../src-shared/errors.ts';
import { aliasOfDevice, hasAlias, isActiveXml, layersXml, nicWithLink } from './device-xml.ts';

const DOMAIN = `<domain type='qemu' id='3'><name>vm0</name><devices>
  <disk type='file'><source file='/a &amp; b'/><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>
  <disk type='file'><target dev='vdb'/><alias name='virtio-disk1'/></disk>
  <interface type='network'><mac address='54:52:00:00:00:0A'/><source network='n'/><link state='up'/><alias name='net0'/></interface>
  <interface type='network'><mac address='54:52:00:00:00:0b'/><source network='n'/><alias name='net1'/></interface>
</devices></domain>`;

describe('devices of a domain', () => {
  it.each([
    [`<disk><target dev='vdb'/></disk>`, 'virtio-disk1'],
    [`<interface type='network'><mac address='54:52:00:00:00:0a'/></interface>`, 'net0'],
    [`<interface><alias name='net1'/></interface>`, undefined],
    [`<disk><target dev='vdz'/></disk>`, undefined],
    [`<controller type='usb'/>`, undefined],
  ])('%s is %s', (device, alias) => {
    expect(aliasOfDevice(DOMAIN, device)).toBe(alias);
  });

  it('knows which aliases are there, and whether the domain runs', () => {
    expect([hasAlias(DOMAIN, 'net1'), hasAlias(DOMAIN, 'net2'), hasAlias('<domain/>', 'net1')]).toEqual([true, false, false]);
    expect([isActiveXml(DOMAIN), isActiveXml('<domain><name>a</name></domain>')]).toEqual([true, false]);
  });

  it('describes a NIC with another link, and everything else unchanged', () => {
    expect(nicWithLink(DOMAIN, '54:52:00:00:00:0a', 'down')).toBe(`<interface type='network'>
  <mac address='54:52:00:00:00:0A'/>
  <source network='n'/>
  <alias name='net0'/>
  <link state='down'/>
</interface>
`);
    expect(nicWithLink(DOMAIN, '54:52:00:00:00:0B', 'up')).toContain(`<link state='up'/>`);
    expect(() => nicWithLink(DOMAIN, '54:52:00:00:00:0c', 'up')).toThrow(expect.objectContaining({ code: 'input.invalid' }) as EngineError);
  });

  it('asks for layers on some disks only', () => {
    expect(layersXml(DOMAIN, [{ disk: 'vdb', path: '/a' }])).toBe(`<domainsnapshot>
  <disks>
    <disk name='vda' snapshot='no'/>
    <disk name='vdb' snapshot='external'>
      <source file='/a'/>
    </disk>
  </disks>
</domainsnapshot>
`);
    expect(() => layersXml(DOMAIN, [{ disk: 'sda', path: '/a' }])).toThrow(
      expect.objectContaining({ code: 'input.invalid' }) as EngineError,
    );
  });

  it('says what is wrong with a description that is no XML', () => {
    expect(() => aliasOfDevice(DOMAIN, '<disk')).toThrow(expect.objectContaining({ code: 'input.invalid' }) as EngineError);
  });
});
