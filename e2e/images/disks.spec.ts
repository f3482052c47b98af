import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { expect, test } from '@playwright/test';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from '../support/leaks.ts';
import { useScratch } from '../support/prologue.ts';
import { root, type Scratch } from '../support/scratch.ts';

const MIB = 1024 * 1024;
let scratch: Scratch;
let server: Server;
/** Files of the web server, by path. */
let served: Map<string, Buffer>;

useScratch((made) => {
  scratch = made;
});
test.beforeEach(async () => {
  served = new Map();
  server = createServer((request, response) => {
    const content = served.get(request.url ?? '');
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
test.afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
});

function origin(): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A raw image that begins with a mark. */
function rawImage(name: string, size: number, mark: string): string {
  const path = join(scratch.dir, name);
  const content = Buffer.alloc(size);
  content.write(mark);
  writeFileSync(path, content);
  return path;
}

/** Enough of an ISO 9660 image to be recognised as one; begins with a mark. */
function isoImage(name: string, size: number, mark: string): string {
  const path = rawImage(name, size, mark);
  const content = readFileSync(path);
  content.write('\u0001CD001\u0001', 0x8000, 'latin1');
  content.write('\u00ffCD001\u0001', 0x8800, 'latin1');
  writeFileSync(path, content);
  return path;
}

function convert(from: string, fromFormat: string, toFormat: string, to: string, ...options: readonly string[]): void {
  execFileSync('qemu-img', ['convert', '-f', fromFormat, '-O', toFormat, ...options, from, to]);
}

function hash(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

const NETS = { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } };

/** Waits for all nine disks, which may appear later than ssh. Prints a line for each: name, bytes, read-only flag, its mark. */
const LIST_DISKS = `
readable() { n=0; for d in /sys/block/vd* /sys/block/sd* /sys/block/sr*; do head -c 1 /dev/\${d##*/} >/dev/null 2>&1 && n=$((n + 1)); done; [ $n -ge 9 ]; }
tries=0; until readable || [ $tries -ge 300 ]; do sleep 0.2; tries=$((tries + 1)); done
for d in /sys/block/vd* /sys/block/sd* /sys/block/sr*; do
  b=\${d##*/}
  echo "$b $(($(cat $d/size) * 512)) $(cat $d/ro) $(head -c 32 /dev/$b | tr -cd 'a-z-')"
done
for b in sr0 sr1; do dd if=/dev/zero of=/dev/$b bs=2048 count=1 2>&1 | grep -o 'Read-only file system'; done
`;

test('disks of every kind are seen in the guest', async () => {
  const plain = rawImage('download.raw', 48 * MIB, 'mark-download');
  convert(plain, 'raw', 'qcow2', join(scratch.dir, 'download.qcow2'));
  execFileSync('xz', ['-0', join(scratch.dir, 'download.qcow2')]);
  served.set('/images/download.qcow2.xz', readFileSync(join(scratch.dir, 'download.qcow2.xz')));
  const inPlace = isoImage('in-place.iso', 2 * MIB, 'mark-in-place');
  const copied = rawImage('copied.raw', 16 * MIB, 'mark-copied');
  served.set('/kept.iso', readFileSync(isoImage('served.iso', 4 * MIB, 'mark-kept')));
  const before = [inPlace, copied].map(hash);
  const file = scratch.write(
    'disks.json',
    JSON.stringify({
      nets: NETS,
      domains: {
        vm: {
          memory: 192,
          vcpu: 1,
          nics: [{ net: 'front' }],
          disks: [
            { name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' },
            { name: 'empty', dev: 'vdb', format: 'qcow2', type: 'empty', size: '100M' },
            { name: 'raw', dev: 'sda', format: 'raw', type: 'empty', size: '64M' },
            { name: 'download', dev: 'sdb', format: 'qcow2', type: 'file', url: `${origin()}/images/download.qcow2.xz` },
            { name: 'copied', dev: 'vdc', format: 'raw', type: 'file', path: 'copied.raw', make_a_copy: true },
            { name: 'ide', dev: 'hda', format: 'qcow2', type: 'empty', size: '32M' },
            { name: 'cd', dev: 'hdc', format: 'iso', type: 'file', path: '$LAGO_INITFILE_PATH/in-place.iso' },
            { name: 'scsi-cd', dev: 'sdc', format: 'iso', type: 'file', url: `${origin()}/kept.iso`, path: 'kept.iso' },
          ],
        },
      },
    }),
  );
  await lagoOk(scratch, ['init', file]);
  const images = join(scratch.dir, '.lago/default/images');
  expect(readdirSync(images).sort()).toEqual([
    'vm_copied.raw',
    'vm_download.qcow2',
    'vm_empty.qcow2',
    'vm_ide.qcow2',
    'vm_raw.raw',
    'vm_root.qcow2',
  ]);
  // Sparse: at most one file system block of metadata.
  expect(statSync(join(images, 'vm_raw.raw')).blocks).toBeLessThanOrEqual(8);
  expect(readFileSync(join(scratch.dir, 'kept.iso')).equals(served.get('/kept.iso') as Buffer)).toBe(true);
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  const seen = (await lagoOk(scratch, ['shell', 'vm'], { input: LIST_DISKS })).stdout.trim().split('\n');
  const disks = seen.filter((line) => !line.startsWith('Read-only')).map((line) => line.split(' '));
  const ofKind = (kind: string): (readonly string[])[] =>
    disks
      .filter(([name]) => name?.startsWith(kind))
      .map(([, ...rest]) => rest)
      .sort();
  const root_ = disks.find(([name]) => name === 'vda');
  expect(Number(root_?.[1])).toBe(512 * MIB);
  expect(disks.find(([name]) => name === 'vdb')).toEqual(['vdb', String(100 * MIB), '0', '']);
  expect(disks.find(([name]) => name === 'vdc')).toEqual(['vdc', String(16 * MIB), '0', 'mark-copied']);
  // cloud-init's seed.
  expect(disks.find(([name]) => name === 'vdd')?.[2]).toBe('1');
  // In the order in which they were detected.
  expect(ofKind('sd')).toEqual([
    [String(32 * MIB), '0', ''],
    [String(48 * MIB), '0', 'mark-download'],
    [String(64 * MIB), '0', ''],
  ]);
  expect(ofKind('sr').map(([size, , mark]) => [size, mark])).toEqual([
    [String(2 * MIB), 'mark-in-place'],
    [String(4 * MIB), 'mark-kept'],
  ]);
  expect(seen.filter((line) => line === 'Read-only file system')).toHaveLength(2);
  // The guest writes to its copy, not to the original file.
  await lagoOk(scratch, ['shell', 'vm', 'printf changed | dd of=/dev/vdc bs=512 conv=sync 2>/dev/null; sync']);
  expect([inPlace, copied].map(hash)).toEqual(before);
  expect(readFileSync(join(images, 'vm_copied.raw')).subarray(0, 7).toString()).toBe('changed');
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});

/** A gzipped OVA as other programs export it: the description, then a stream-optimised VMDK. */
function makeOva(): string {
  const repository = JSON.parse(readFileSync(join(root, '.cache/templates/repo.json'), 'utf8')) as {
    readonly sources: Readonly<Record<string, { readonly args: { readonly root: string } }>>;
    readonly templates: Readonly<
      Record<string, { readonly versions: Readonly<Record<string, { readonly handle: string; readonly source: string }>> }>
    >;
  };
  const version = Object.values(repository.templates['lago-sample']?.versions ?? {})[0];
  const image = join(root, '.cache/templates', repository.sources[version?.source ?? '']?.args.root ?? '', version?.handle ?? '');
  const disk = join(scratch.dir, 'appliance-disk1.vmdk');
  convert(image, 'qcow2', 'vmdk', disk, '-o', 'subformat=streamOptimized');
  writeFileSync(
    join(scratch.dir, 'appliance.ovf'),
    `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References><File ovf:id="file1" ovf:href="${basename(disk)}"/></References>
  <DiskSection><Info>Disks</Info><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="512" ovf:capacityAllocationUnits="byte * 2^20"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="appliance"><Info>One machine</Info><VirtualHardwareSection><Info>Hardware</Info>
    <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
    <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>208</rasd:VirtualQuantity></Item>
    <Item><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType></Item>
  </VirtualHardwareSection></VirtualSystem>
</Envelope>
`,
  );
  execFileSync('tar', ['--format=ustar', '-czf', 'appliance.ova', 'appliance.ovf', basename(disk)], { cwd: scratch.dir });
  return join(scratch.dir, 'appliance.ova');
}

test('an OVA is imported, boots and answers', async () => {
  const ova = makeOva();
  served.set('/appliance.ova', readFileSync(ova));
  const file = scratch.write(
    'ova.json',
    JSON.stringify({
      nets: NETS,
      domains: {
        appliance: {
          type: 'ova',
          url: `${origin()}/appliance.ova`,
          bootstrap: 'cloud-init',
          memory: 4096,
          nics: [{ net: 'front' }],
          disks: [{ name: 'data', dev: 'vdb', type: 'empty', size: '24M' }],
        },
      },
    }),
  );
  await lagoOk(scratch, ['init', file]);
  const specs = JSON.parse(readFileSync(join(scratch.dir, '.lago/default/virt/vm-appliance'), 'utf8')) as {
    readonly memory: number;
    readonly vcpu: number;
    readonly disks: readonly { readonly name: string; readonly dev: string }[];
  };
  expect(specs).toMatchObject({ memory: 208, vcpu: 1 });
  expect(specs.disks.slice(0, 2)).toMatchObject([
    { name: 'appliance-disk1.vmdk', dev: 'vda', type: 'template', template_type: 'qcow2', metadata: { 'root-partition': '/dev/sda1' } },
    { name: 'data', dev: 'vdb' },
  ]);
  // The VMDK is removed after conversion.
  expect(readdirSync(join(scratch.dir, '.lago/default/ova/appliance'))).toEqual(['appliance-disk1.vmdk.qcow2']);
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  expect((await lagoOk(scratch, ['shell', 'appliance', 'hostname; cat /sys/block/vdb/size'])).stdout).toBe(
    `appliance\n${(24 * MIB) / 512}\n`,
  );
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});

test('a hostile OVA leaves nothing', async () => {
  writeFileSync(join(scratch.dir, 'x.ovf'), '<Envelope/>');
  execFileSync('tar', ['-cPf', 'hostile.ova', '--transform=s,x.ovf,../../escaped.ovf,', 'x.ovf'], { cwd: scratch.dir });
  const file = scratch.write(
    'hostile.json',
    JSON.stringify({ nets: NETS, domains: { vm: { type: 'ova', url: 'hostile.ova', nics: [{ net: 'front' }], bootstrap: false } } }),
  );
  const outcome = await lago(scratch, ['init', file]);
  expect(outcome.code).toBe(5);
  expect(outcome.stderr).toContain('its member "../../escaped.ovf" leads out of it');
  expect(outcome.stderr).not.toMatch(/\n\s+at /);
  const left = readdirSync(scratch.dir);
  expect(left).not.toContain('.lago');
  expect(left).not.toContain('escaped.ovf');
});
