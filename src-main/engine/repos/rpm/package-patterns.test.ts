import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fnmatch } from '../packages/fnmatch.ts';
import type { RpmPackage } from './package.ts';
import { packagesOf } from './package-patterns.ts';
import { rpmPackage } from './repository.test-support.ts';

describe('fnmatch', () => {
  test.each([
    ['*', '', true],
    ['a*c', 'abbc', true],
    ['a*c', 'abbd', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['*-debug*', 'kernel-debuginfo', true],
    ['[a-c]x', 'bx', true],
    ['[!a-c]x', 'bx', false],
    ['[]]x', ']x', true],
    ['[a', '[a', true],
    ['[[:digit:]]*', '7z', true],
    ['[[:digit:]]*', 'z7', false],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['gcc-c++', 'gcc-c++', true],
    ['a.c', 'abc', false],
    ['[a-]x', '-x', true],
    ['**a**', 'bab', true],
  ])('%s and %s: %s', (pattern, name, expected) => {
    expect(fnmatch(pattern)(name)).toBe(expected);
  });

  test('no pattern takes exponential time', () => {
    expect(fnmatch(`${'a*'.repeat(40)}b`)('a'.repeat(5000))).toBe(false);
  });

  test('any pattern can be tried', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (pattern, name) => typeof fnmatch(pattern)(name) === 'boolean'));
  });
});

describe('a pattern of excludepkgs, as dnf reads it', () => {
  const packages = [
    rpmPackage('kernel', '5.14.0', '1.el9', 'x86_64'),
    rpmPackage('kernel-core', '5.14.0', '1.el9', 'x86_64'),
    rpmPackage('kernel-devel', '5.14.0', '2.el9', 'i686'),
    rpmPackage('vdsm', '4.20', '1', 'noarch', '1'),
    rpmPackage('openssl-libs', '3.0.7', '2.el9', 'i686'),
  ];
  const names = (found: readonly RpmPackage[]): readonly string[] => found.map(({ name }) => name);

  test.each([
    ['kernel', ['kernel']],
    ['kernel*', ['kernel', 'kernel-core', 'kernel-devel']],
    // As a name it fits two packages, so that it is not read as NAME-VERSION.
    ['kernel-*', ['kernel-core', 'kernel-devel']],
    ['*.i686', ['kernel-devel', 'openssl-libs']],
    ['kernel-5.14.0', ['kernel']],
    ['kernel-5.14.0-1.el9', ['kernel']],
    ['kernel-5.14.0-1.el9.x86_64', ['kernel']],
    ['kernel-0:5.14.0-1.el9.x86_64', ['kernel']],
    ['vdsm-1:4.20-1.noarch', ['vdsm']],
    ['vdsm-0:4.20-1.noarch', []],
    ['vdsm-4.20*', ['vdsm']],
    ['openssl-libs-3.0.?-*.i686', ['openssl-libs']],
    ['nothing', []],
    ['*', ['kernel', 'kernel-core', 'kernel-devel', 'vdsm', 'openssl-libs']],
  ])('%s', (pattern, expected) => {
    expect(names(packagesOf(pattern, packages))).toEqual(expected);
  });
});
