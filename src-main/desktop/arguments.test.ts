import { expect, test } from 'vitest';
import { readArguments } from './arguments.ts';

test.each([
  [['electron', '/app'], true, null],
  [['electron', '--no-sandbox', '/app', 'init.json'], true, '/work dir/init.json'],
  [['electron', '/app', '--user-data-dir=/x', '/abs/init.yaml'], true, '/abs/init.yaml'],
  [['lago-desktop'], false, null],
  [['lago-desktop', 'init.json'], false, '/work dir/init.json'],
] as const)('%j, unpackaged %s: opens %s', (argv, unpackaged, open) => {
  expect(readArguments(argv, unpackaged, '/work dir').open).toBe(open);
});

test('--workdir names the folder for new environments', () => {
  expect(readArguments(['electron', '/app', '--workdir=here', 'f.json'], true, '/base')).toEqual({
    open: '/base/f.json',
    workdir: '/base/here',
  });
  expect(readArguments(['electron', '/app', '--workdir='], true, '/base').workdir).toBeUndefined();
});
