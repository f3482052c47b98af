import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TarMember } from '../disk/tar/tar-members.ts';
import { memberName, unpack } from './unpack.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lago-unpack-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function member(name: string, type = '0', more: Partial<TarMember> & { readonly text?: string } = {}): TarMember {
  const content = Buffer.from(more.text ?? '');
  return {
    name,
    type,
    size: content.length,
    mode: 0o644,
    mtime: 1e9,
    target: '',
    sparse: undefined,
    content: (async function* () {
      if (content.length > 0) yield await Promise.resolve(content);
    })(),
    ...more,
  };
}

async function unpackAll(members: readonly TarMember[], into: string): Promise<string[]> {
  const skipped: string[] = [];
  mkdirSync(into, { recursive: true });
  await unpack(
    (async function* () {
      for (const one of members) yield await Promise.resolve(one);
    })(),
    into,
    { signal: new AbortController().signal, onFile: () => undefined, onBytes: () => undefined, skip: (sentence) => skipped.push(sentence) },
  );
  return skipped;
}

test.each([
  ['./a/b', 'a/b'],
  ['./', ''],
  ['a//b/', 'a/b'],
  ['line\nbreak', 'line\nbreak'],
  ['...', '...'],
  ['/etc/passwd', undefined],
  ['../x', undefined],
  ['a/../../x', undefined],
  ['a\0b', undefined],
])('the name %j is %j', (given, expected) => {
  expect(memberName(given)).toBe(expected);
});

test('a file under a link of the archive does not go where the link leads', async () => {
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  const skipped = await unpackAll(
    [member('x', '2', { target: outside }), member('x/file', '0', { text: 'evil' }), member('y', '1', { target: '../outside/secret' })],
    join(dir, 'in'),
  );
  expect(readdirSync(outside)).toEqual([]);
  expect(skipped).toHaveLength(2);
  expect(lstatSync(join(dir, 'in/x')).isSymbolicLink()).toBe(true);
});

test('nobody gets setuid, a folder without rights or a device', async () => {
  const skipped = await unpackAll(
    [member('su', '0', { mode: 0o4755 }), member('shut', '5', { mode: 0 }), member('null', '3')],
    join(dir, 'in'),
  );
  expect(lstatSync(join(dir, 'in/su')).mode & 0o7777).toBe(0o755);
  expect(lstatSync(join(dir, 'in/shut')).mode & 0o7777).toBe(0o700);
  expect(existsSync(join(dir, 'in/null'))).toBe(false);
  expect(skipped).toEqual(['Skipped "null": it is neither a file nor a directory nor a link.']);
});

test('hard links and sparse files', async () => {
  const sparse = { size: 1_000_000, parts: [{ at: 500_000, length: 4 }] };
  await unpackAll(
    [member('a', '0', { text: 'one' }), member('b', '1', { target: './a' }), member('s', 'S', { text: 'data', sparse })],
    join(dir, 'in'),
  );
  expect(lstatSync(join(dir, 'in/b')).ino).toBe(lstatSync(join(dir, 'in/a')).ino);
  const content = readFileSync(join(dir, 'in/s'));
  expect([content.length, content.subarray(499_999, 500_005).toString('latin1')]).toEqual([1_000_000, '\0data\0']);
});

test('no archive writes outside of its folder', async () => {
  const part = fc.constantFrom('a', 'b', '..', '.', '', 'c\n', 'etc');
  const name = fc
    .tuple(fc.constantFrom('', '/', './'), fc.array(part, { minLength: 1, maxLength: 4 }))
    .map(([begin, parts]) => begin + parts.join('/'));
  const anything = fc.tuple(name, fc.constantFrom('0', '1', '2', '5', '3', 'S', '7'), name);
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { maxLength: 12 }), async (list) => {
      const here = join(dir, String(round++));
      mkdirSync(join(here, 'etc'), { recursive: true });
      writeFileSync(join(here, 'etc/a'), 'untouched');
      await unpackAll(
        list.map(([of, type, target]) =>
          member(of, type, { target, text: type === '0' ? 'evil' : '', ...(type === 'S' ? { sparse: { size: 0, parts: [] } } : {}) }),
        ),
        join(here, 'in'),
      );
      expect(readdirSync(here).sort()).toEqual(['etc', 'in']);
      expect(readdirSync(join(here, 'etc'))).toEqual(['a']);
      expect(readFileSync(join(here, 'etc/a'), 'utf8')).toBe('untouched');
    }),
    { numRuns: 150 },
  );
});
