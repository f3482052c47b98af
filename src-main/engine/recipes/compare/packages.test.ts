import { expect, test } from 'vitest';
import { comparePackages, dpkgPackages, rpmPackages } from './packages.ts';

const STATUS = `Package: bash
Status: install ok installed
Version: 5.2.15-2+b7
Architecture: amd64
Description: shell
 Package: not-a-package

Package: libc6
Status: install ok installed
Version: 2.36-9
Architecture: amd64

Package: libc6
Status: hold ok installed
Version: 2.36-9
Architecture: i386

Package: removed
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-installed
Version: 1
`;

test('packages that dpkg has installed, with their architecture where there are several', () => {
  expect([...dpkgPackages(STATUS)]).toEqual([
    ['bash', '5.2.15-2+b7'],
    ['libc6:amd64', '2.36-9'],
    ['libc6:i386', '2.36-9'],
  ]);
});

test('packages of rpm, several versions beside each other and no keys', () => {
  const lines = 'kernel 6.2-1 x86_64\nkernel 6.1-1 x86_64\nopenssl 1:3.0.7-2 x86_64\ngpg-pubkey 1234-5678 (none)\n';
  expect([...rpmPackages(lines)]).toEqual([
    ['kernel', '6.1-1, 6.2-1'],
    ['openssl', '1:3.0.7-2'],
  ]);
});

test('what is no list of packages has none', () => {
  expect(dpkgPackages('\0\n\n\n').size).toBe(0);
  expect(rpmPackages('one\n\n').size).toBe(0);
});

test('packages that were added, removed and upgraded, by name', () => {
  const before = new Map([
    ['same', '1'],
    ['up', '1'],
    ['gone', '2'],
  ]);
  const after = new Map([
    ['up', '2'],
    ['same', '1'],
    ['new', '3'],
  ]);
  expect(comparePackages(before, after)).toEqual([
    { name: 'gone', before: '2', after: null },
    { name: 'new', before: null, after: '3' },
    { name: 'up', before: '1', after: '2' },
  ]);
});
