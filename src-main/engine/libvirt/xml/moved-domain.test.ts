import { expect, test } from 'vitest';
import { movedDomainXml } from './moved-domain.ts';

const XML = `<domain type='qemu' xmlns:lago='https://lago'><name>aaaa-web</name><uuid>1-2</uuid><memory unit='KiB'>1024</memory>
  <metadata><lago:prefix path='/old/one/'/></metadata>
  <devices><emulator>/opt/old/qemu</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/old/one/images/web.raw' index='3'/>
      <backingStore type='file'><source file='/old/one/images/below'/></backingStore><target dev='vda' bus='virtio'/><address type='pci' slot='0x03'/></disk>
    <disk type='file' device='cdrom'><source file='/old/one/seed.iso'/><target dev='hda'/></disk>
    <interface type='network'><source network='aaaa-lan' bridge='aaaa-lan'/></interface>
    <graphics type='vnc' socket='/run/old/1.vnc'/>
  </devices></domain>`;

test('name, uuid, disks and places change, everything else stays', () => {
  const moved = movedDomainXml(XML, {
    name: 'bbbb-web',
    uuid: '3-4',
    disks: new Map([['vda', '/new/images/web.layer-1.qcow2']]),
    instead: [
      ['/old/one/', '/new/'],
      ['/run/old/', '/run/new/'],
      ['aaaa-', 'bbbb-'],
    ],
  });
  expect(moved).toContain('<name>bbbb-web</name>');
  expect(moved).toContain('<uuid>3-4</uuid>');
  expect(moved).toContain("<memory unit='KiB'>1024</memory>");
  expect(moved).toContain("<driver name='qemu' type='qcow2'/>");
  expect(moved).toContain("<source file='/new/images/web.layer-1.qcow2'/>");
  expect(moved).toContain("<address type='pci' slot='0x03'/>");
  expect(moved).toContain("<source file='/new/seed.iso'/>");
  expect(moved).toContain("<source network='bbbb-lan' bridge='bbbb-lan'/>");
  expect(moved).toContain("socket='/run/new/1.vnc'");
  expect(moved).not.toMatch(/backingStore|old|aaaa|index/);
  expect(moved).toContain('<lago:prefix path=');
});
