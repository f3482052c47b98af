import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareEvr, compareVersions } from './version.ts';

// rpm's own cases (tests/rpmvercmp.at).
test.each([
  ['1.0', '1.0', 0],
  ['1.0', '2.0', -1],
  ['2.0', '1.0', 1],
  ['2.0.1', '2.0.1', 0],
  ['2.0', '2.0.1', -1],
  ['2.0.1', '2.0', 1],
  ['2.0.1a', '2.0.1a', 0],
  ['2.0.1a', '2.0.1', 1],
  ['2.0.1', '2.0.1a', -1],
  ['5.5p1', '5.5p1', 0],
  ['5.5p1', '5.5p2', -1],
  ['5.5p10', '5.5p1', 1],
  ['10xyz', '10.1xyz', -1],
  ['10.1xyz', '10xyz', 1],
  ['xyz10', 'xyz10', 0],
  ['xyz10', 'xyz10.1', -1],
  ['xyz.4', 'xyz.4', 0],
  ['xyz.4', '8', -1],
  ['8', 'xyz.4', 1],
  ['xyz.4', '2', -1],
  ['5.5p2', '5.6p1', -1],
  ['5.6p1', '6.5p1', -1],
  ['6.0.rc1', '6.0', 1],
  ['6.0', '6.0.rc1', -1],
  ['10b2', '10a1', 1],
  ['10a2', '10b2', -1],
  ['1.0aa', '1.0a', 1],
  ['10.0001', '10.0001', 0],
  ['10.0001', '10.1', 0],
  ['10.0001', '10.0039', -1],
  ['4.999.9', '5.0', -1],
  ['20101121', '20101122', -1],
  ['2_0', '2.0', 0],
  ['a', 'a', 0],
  ['a+', 'a_', 0],
  ['+a', '_a', 0],
  ['+_', '_+', 0],
  ['+', '_', 0],
  ['1.0~rc1', '1.0~rc1', 0],
  ['1.0~rc1', '1.0', -1],
  ['1.0', '1.0~rc1', 1],
  ['1.0~rc1', '1.0~rc2', -1],
  ['1.0~rc1~git123', '1.0~rc1', -1],
  ['1.0^', '1.0^', 0],
  ['1.0^', '1.0', 1],
  ['1.0', '1.0^', -1],
  ['1.0^git1', '1.0^git2', -1],
  ['1.0^git1', '1.01', -1],
  ['1.01', '1.0^git1', 1],
  ['1.0^20160101', '1.0.1', -1],
  ['1.0^20160102', '1.0^20160101^git1', 1],
  ['1.0~rc1^git1', '1.0~rc1', 1],
  ['1.0^git1~pre', '1.0^git1', -1],
  ['1.0^git1', '1.0^git1~pre', 1],
  ['1b.fc17', '1.fc17', -1],
  ['1g.fc17', '1.fc17', 1],
  ['', '', 0],
  ['', '1', -1],
  ['99999999999999999999', '100000000000000000000', -1],
])('rpm compares %s and %s as %i', (a, b, expected) => {
  expect(Math.sign(compareVersions(a, b))).toBe(expected);
});

test('an epoch outweighs any version, a version any release', () => {
  const of = (epoch: string, version: string, release: string) => ({ epoch, version, release });
  expect(compareEvr(of('1', '1', '1'), of('0', '9', '9'))).toBeGreaterThan(0);
  expect(compareEvr(of('10', '1', '1'), of('9', '1', '1'))).toBeGreaterThan(0);
  expect(compareEvr(of('0', '2', '1'), of('0', '1', '9'))).toBeGreaterThan(0);
  expect(compareEvr(of('0', '1', '1.el9'), of('0', '1', '2.el9'))).toBeLessThan(0);
  expect(compareEvr(of('00', '1', '1'), of('0', '1', '1'))).toBe(0);
});

test('the order is one: turned around it is the opposite', () => {
  const version = fc.string({ unit: fc.constantFrom('0', '1', '9', 'a', 'Z', '.', '-', '~', '^', '_'), maxLength: 8 });
  fc.assert(
    fc.property(version, version, (a, b) => {
      expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
      expect(compareVersions(a, a)).toBe(0);
    }),
  );
});
