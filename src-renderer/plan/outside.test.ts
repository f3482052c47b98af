import { expect, it } from 'vitest';
import { allAllowed, meaningOf } from './outside.ts';

const key = { path: '/home/me/key', access: 'read', key: 'domains.web.disks[0].path' } as const;
const disk = { path: '/srv/disk.img', access: 'write', key: 'domains.web.disks[1].path' } as const;

it.each([
  [[], [], true],
  [[], ['/home/me/key'], true],
  [[key], [], false],
  [[key], ['/home/me'], false],
  [[key, disk], ['/home/me/key'], false],
  [[key, disk], ['/srv/disk.img', '/home/me/key'], true],
])('%j with a yes to %j is answered: %s', (outside, allowed, answered) => {
  expect(allAllowed(outside, allowed)).toBe(answered);
});

it('says what a guest could do', () => {
  expect([key, disk].map(meaningOf)).toEqual(['a guest can read it', 'a guest can read and change it']);
});
