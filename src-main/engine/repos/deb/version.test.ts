import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareVersions, satisfies } from './version.ts';

// Each is older than the next.
const ORDER = [
  '1.0~~',
  '1.0~~a',
  '1.0~',
  '1.0',
  '1.0-0.1',
  '1.0-1',
  '1.0-1+b1',
  '1.0a',
  '1.0+x',
  '1.0.1',
  '1.2',
  '1.10',
  '1.010.1',
  '2:0.1',
  '10:0',
];

test('versions in order', () => {
  for (const [at, left] of ORDER.entries()) {
    for (const [other, right] of ORDER.entries())
      expect([left, right, Math.sign(compareVersions(left, right))]).toEqual([left, right, Math.sign(at - other)]);
  }
});

test('zeros before a number, and what is not there, count for nothing', () => {
  expect(compareVersions('1.01', '1.1')).toBe(0);
  expect(compareVersions('0:1.0-0', '1.0')).toBe(0);
  expect(compareVersions('1.99999999999999999998', '1.99999999999999999999')).toBeLessThan(0);
});

test('dpkg says the same', () => {
  const version = fc
    .array(fc.constantFrom('0', '1', '9', '10', 'a', 'Z', '.', '+', '~', '-'), { minLength: 1, maxLength: 8 })
    .map((parts) => `1${parts.join('')}1`);
  fc.assert(
    fc.property(version, version, (left, right) => {
      const relation = { '-1': 'lt', 0: 'eq', 1: 'gt' }[Math.sign(compareVersions(left, right))] ?? '';
      execFileSync('dpkg', ['--compare-versions', left, relation, right], { stdio: 'pipe' });
    }),
    { numRuns: 60 },
  );
});

test.each([
  ['1.0', undefined, undefined, true],
  ['1.0', '=', '1.0', true],
  ['1.0', '>=', '1.1', false],
  ['1.1', '>>', '1.1', false],
  ['1.1', '<<', '1.2', true],
  ['1.1', '<=', '1.1', true],
  ['1.1', '>', '1.1', true],
  ['1.1', '<', '1.1', true],
])('%s satisfies %s %s: %s', (version, relation, wanted, expected) => {
  expect(satisfies(version, relation, wanted)).toBe(expected);
});
