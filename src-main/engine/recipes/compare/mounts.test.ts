import { expect, test } from 'vitest';
import { mountPoints } from './mounts.ts';

const DISK = { dev: 'vda', number: 3, label: 'data', uuid: '0a1b' };

test.each([
  ['UUID=0a1b /srv ext4 defaults 0 2', '/srv'],
  ['UUID="0a1b" /srv/ ext4', '/srv'],
  ['LABEL=data\t/srv\text4', '/srv'],
  ['/dev/vda3 /srv ext4', '/srv'],
  ['/dev/disk/by-uuid/0a1b /with\\040space ext4', '/with space'],
  ['# UUID=0a1b /srv ext4', 'vda3:'],
  ['UUID=0a1b none swap', 'vda3:'],
  ['UUID=other /srv ext4', 'vda3:'],
  ['', 'vda3:'],
])('fstab %j', (fstab, folder) => {
  expect(mountPoints(`proc /proc proc\n${fstab}\n`, [DISK])).toEqual([folder]);
});

test('a disk without partitions and label', () => {
  const sources = [{ dev: 'vdb', number: 0, label: '', uuid: 'u' }];
  expect(mountPoints('LABEL= /wrong ext4', sources)).toEqual(['vdb:']);
  expect(mountPoints('/dev/vdb /right ext4', sources)).toEqual(['/right']);
});
