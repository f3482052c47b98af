import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Lock, missingOptional } from './complete-lock.ts';

test('finds an optional package that no lookup reaches', () => {
  const lock: Lock = {
    packages: {
      '': {},
      'node_modules/a': { optionalDependencies: { 'a-linux': '1.0.0', 'a-darwin': '1.0.0' } },
      'node_modules/a-linux': { version: '1.0.0' },
      'node_modules/b/node_modules/c': { optionalDependencies: { 'c-x': '2.0.0', 'c-y': '2.0.0' } },
      'node_modules/b/node_modules/c-x': { version: '2.0.0' },
    },
  };
  expect([...missingOptional(lock)]).toEqual([
    ['a-darwin', '1.0.0'],
    ['c-y', '2.0.0'],
  ]);
});

test('package-lock.json is complete, so that npm ci accepts it (else: npm run lock)', () => {
  const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as Lock;
  expect([...missingOptional(lock)]).toEqual([]);
});
