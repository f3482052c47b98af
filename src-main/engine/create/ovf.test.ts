import { describe, expect, test } from 'vitest';
import { readOvf } from './ovf.ts';

const WHAT = 'The OVA x.ova';

/** An OVF as oVirt exports it. */
function ovirt(
  change: { readonly memory?: string; readonly unit?: string; readonly cpu?: string; readonly resource?: string } = {},
): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1/" xmlns:rasd="r" xmlns:xsi="i" ovf:version="3.5.0.0">
  <References><File ovf:href="img/vol" ovf:id="vol" ovf:size="1"/></References>
  <Section xsi:type="ovf:DiskSection_Type"><Disk ovf:diskId="vol" ovf:fileRef="img/vol" ovf:parentRef=""/></Section>
  <Content ovf:id="out" xsi:type="ovf:VirtualSystem_Type"><Name>vm</Name>
    <Section xsi:type="ovf:OperatingSystemSection_Type"/>
    <Section xsi:type="ovf:VirtualHardwareSection_Type">
      <Item><rasd:ResourceType>3</rasd:ResourceType>${change.cpu ?? '<rasd:num_of_sockets>2</rasd:num_of_sockets><rasd:cpu_per_socket>3</rasd:cpu_per_socket>'}</Item>
      <Item><rasd:ResourceType>4</rasd:ResourceType><rasd:AllocationUnits>${change.unit ?? 'MegaBytes'}</rasd:AllocationUnits>
        <rasd:VirtualQuantity>${change.memory ?? '2048'}</rasd:VirtualQuantity></Item>
      <Item><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>${change.resource ?? 'img/vol'}</rasd:HostResource></Item>
      <Item><rasd:ResourceType>10</rasd:ResourceType></Item>
    </Section></Content>
</ovf:Envelope>`;
}

interface Standard {
  readonly files?: string;
  readonly disks?: string;
  readonly items?: string;
  readonly systems?: string;
}

/** An OVF as VMware and VirtualBox export it. */
function standard(change: Standard = {}): string {
  const items = change.items ?? '<Item><rasd:HostResource>ovf:/disk/d1</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>';
  const hardware = `<VirtualHardwareSection><Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity></Item>${items}</VirtualHardwareSection>`;
  return `<Envelope xmlns="e" xmlns:ovf="e" xmlns:rasd="r">
  <References>${change.files ?? '<File ovf:id="f1" ovf:href="x-disk1.vmdk"/>'}</References>
  <DiskSection><Info/>${change.disks ?? '<Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="1"/>'}</DiskSection>
  ${change.systems ?? `<VirtualSystem ovf:id="x">${hardware}</VirtualSystem>`}</Envelope>`;
}

const read = (text: string, files: readonly string[] = ['x-disk1.vmdk'], location = 'x.ovf'): ReturnType<typeof readOvf> =>
  readOvf(text, location, new Set(files), WHAT);

test('an export of oVirt', () => {
  expect(read(ovirt(), ['images/img/vol', 'images/img/vol.meta'], 'master/vms/1/1.ovf')).toEqual({
    memory: 2048,
    vcpu: 6,
    disks: [{ name: 'vol', file: 'images/img/vol' }],
  });
});

test('a newer export of oVirt, with its disk beside the description', () => {
  expect(read(ovirt({ resource: 'img/vol' }), ['vol'], 'vm.ovf').disks).toEqual([{ name: 'vol', file: 'vol' }]);
});

test('a standard OVF, also in a folder, with two disks and without memory', () => {
  expect(read(standard())).toEqual({ memory: undefined, vcpu: 4, disks: [{ name: 'x-disk1.vmdk', file: 'x-disk1.vmdk' }] });
  expect(read(standard(), ['a/x-disk1.vmdk'], 'a/x.ovf').disks).toEqual([{ name: 'x-disk1.vmdk', file: 'a/x-disk1.vmdk' }]);
  const item = (resource: string): string =>
    `<Item><rasd:HostResource>${resource}</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>`;
  const two = standard({
    items: item('/disk/d1') + item('ovf://file/f2'),
    files: '<File ovf:id="f1" ovf:href="x-disk1.vmdk"/><File ovf:id="f2" ovf:href="two.img"/>',
  });
  expect(read(two, ['x-disk1.vmdk', 'two.img']).disks.map((disk) => disk.file)).toEqual(['x-disk1.vmdk', 'two.img']);
});

describe('memory', () => {
  test.each([
    ['2048', 'MegaBytes', 2048],
    ['2048', 'MB', 2048],
    ['2', 'GB', 2048],
    ['2', 'GigaBytes', 2048],
    ['2048', 'byte * 2^20', 2048],
    ['2', 'byte*2^30', 2048],
    ['1', 'byte * 10^9', 954],
    ['1048577', 'byte', 2],
    ['4194304', 'KB', 4096],
    ['1', 'TeraBytes', 1_048_576],
  ])('%s %s', (memory, unit, mebibytes) => {
    expect(read(ovirt({ memory, unit }), ['images/img/vol']).memory).toBe(mebibytes);
  });

  test.each([
    ['2048', 'parsecs', 'in the unknown unit "parsecs"'],
    ['much', 'MB', 'is "much", which is no number'],
    ['-1', 'MB', 'is "-1", which is no number'],
    ['0', 'MB', 'has 0 MiB of memory'],
    ['999999999999', 'TB', 'MiB of memory'],
    ['1', 'byte * 2^99', 'MiB of memory'],
  ])('%s %s is refused', (memory, unit, why) => {
    expect(() => read(ovirt({ memory, unit }), ['images/img/vol'])).toThrow(why);
  });
});

describe('refused', () => {
  const disk = (attributes: string): Standard => ({ disks: `<Disk ovf:diskId="d1" ${attributes}/>` });
  const file = (attributes: string): Standard => ({ files: `<File ovf:id="f1" ${attributes}/>` });
  test.each<[string, string, string]>([
    ['several VMs', standard({ systems: '<VirtualSystemCollection/>' }), 'We support only one vm in ova (the OVA x.ova).'],
    ['two VMs', standard({ systems: '<VirtualSystem/><VirtualSystem/>' }), 'We support only one vm in ova'],
    ['no VM', standard({ systems: '' }), 'We support only one machine desc in ova'],
    [
      'two machines',
      standard({ systems: '<VirtualSystem><VirtualHardwareSection/><VirtualHardwareSection/></VirtualSystem>' }),
      'We support only one machine desc in ova',
    ],
    ['no disk', standard({ items: '' }), 'its VM has no disk'],
    ['an empty disk', standard(disk('ovf:capacity="1"')), 'has no file'],
    ['a layer', standard(disk('ovf:fileRef="f1" ovf:parentRef="d0"')), 'is a layer over another one'],
    ['an unknown disk', standard({ disks: '' }), 'is described nowhere'],
    ['an unknown file', standard({ files: '' }), 'is described nowhere'],
    ['a compressed disk', standard(file('ovf:href="x-disk1.vmdk" ovf:compression="gzip"')), 'is compressed'],
    ['a disk in pieces', standard(file('ovf:href="x-disk1.vmdk" ovf:chunkSize="1000"')), 'is in pieces'],
    ['a file of this machine', standard(file('ovf:href="/etc/passwd"')), 'the file "/etc/passwd" of a disk is not in it'],
    ['a file outside', standard(file('ovf:href="../../x"')), 'is not in it'],
    ['a file elsewhere', standard(file('ovf:href="http://x/y"')), 'is not in it'],
    ['a resource outside', ovirt({ resource: '../../etc/passwd' }), 'is not in it'],
    ['too many CPUs', ovirt({ cpu: '<rasd:VirtualQuantity>5000</rasd:VirtualQuantity>' }), 'has 5000 CPUs'],
    ['another document', '<x/>', 'is no OVF document'],
    ['entities', '<!DOCTYPE x [<!ENTITY a "b">]><Envelope>&a;</Envelope>', 'a document type is not allowed'],
    ['an unknown entity', '<Envelope>&a;</Envelope>', 'the entity &a; is not allowed'],
    ['half a document', '<Envelope><a>', 'is not closed'],
    ['a deep document', `${'<Envelope>'.repeat(300)}`, 'more than 200 levels'],
  ])('%s', (_, text, why) => {
    expect(() => read(text, ['x-disk1.vmdk', 'images/img/vol'])).toThrow(
      expect.objectContaining({ code: 'remote.invalid', message: expect.stringContaining(why) }),
    );
  });
});
