import { expect, test } from 'vitest';
import { listedFiles } from './list-files.ts';

test('rows of virt-ls, whatever is in the names', () => {
  const csv = [
    'd,0755,4096,   0,   0,3,3,3,8:2,2,18,0:0,8,/',
    'l,0777,7,   0,   0,3,2,1,8:2,12,1,0:0,0,/bin,usr/bin',
    '-,4755,25, 1000, 100,3,2,1,8:2,209,1,0:0,8,"/a,""b""\nc"',
    'nonsense',
    '',
  ].join('\n');
  expect(listedFiles(csv)).toEqual([
    { path: '/bin', type: 'l', mode: 0o777, size: 7, uid: 0, gid: 0, stamp: '8:2 12 2 1', target: 'usr/bin' },
    { path: '/a,"b"\nc', type: '-', mode: 0o4755, size: 25, uid: 1000, gid: 100, stamp: '8:2 209 2 1', target: '' },
  ]);
});
