import { describe, expect, it } from 'vitest';
import type { RepoAccess } from '../../src-shared/repos/repo-access.ts';
import { type AccessLine, addAccesses, endingOf, filterAccesses, MAX_LINES, NO_VM, shownPath } from './access-lines.ts';

function access(path: string, more: Partial<RepoAccess> = {}): RepoAccess {
  const time = '2026-01-01T00:00:00.000Z';
  return { time, client: '192.168.200.2', vm: 'web', method: 'GET', path, status: 200, bytes: 1, range: null, milliseconds: 1, ...more };
}

describe('lines', () => {
  it('keep their numbers when the oldest are dropped', () => {
    const full = addAccesses(
      [],
      Array.from({ length: MAX_LINES }, (_, at) => access(`/${at}`)),
    );
    const more = addAccesses(full, [access('/new')]);
    expect(full).toHaveLength(MAX_LINES);
    expect(more.at(-1)).toMatchObject({ number: MAX_LINES, access: { path: '/new' } });
    expect(more[0]?.number).toBe(5000);
    expect(more[0]?.access.path).toBe('/5000');
  });

  it('never are more than fit, however many come at once', () => {
    const lines = addAccesses(
      addAccesses([], [access('/old')]),
      Array.from({ length: 3 * MAX_LINES }, (_, at) => access(`/${at}`)),
    );
    expect(lines).toHaveLength(MAX_LINES);
    expect(lines.at(-1)?.access.path).toBe(`/${3 * MAX_LINES - 1}`);
  });
});

it.each([
  [200, 'sent'],
  [206, 'a part'],
  [301, 'elsewhere'],
  [304, 'unchanged'],
  [404, 'not there'],
  [405, 'refused'],
  [416, 'refused'],
  [500, 'failed'],
])('%i is said in a word', (status, word) => {
  expect(endingOf(status).word).toBe(word);
});

describe('the filter', () => {
  const lines = addAccesses(
    [],
    [
      access('/el9/noarch/Hello-1.rpm'),
      access('/el9/missing', { status: 404, vm: 'db' }),
      access('/', { vm: null, client: '192.168.200.1' }),
    ],
  );
  const paths = (found: readonly AccessLine[]): readonly string[] => found.map((line) => line.access.path);
  const all = { vm: '', text: '', failed: false };

  it('lets all through when it is empty', () => {
    expect(filterAccesses(lines, all)).toBe(lines);
  });

  it('chooses a VM, or what is none', () => {
    expect(paths(filterAccesses(lines, { ...all, vm: 'db' }))).toEqual(['/el9/missing']);
    expect(paths(filterAccesses(lines, { ...all, vm: NO_VM }))).toEqual(['/']);
  });

  it('looks for a text in path, client, status and word, in any case', () => {
    expect(paths(filterAccesses(lines, { ...all, text: 'hello' }))).toEqual(['/el9/noarch/Hello-1.rpm']);
    expect(paths(filterAccesses(lines, { ...all, text: '404' }))).toEqual(['/el9/missing']);
    expect(paths(filterAccesses(lines, { ...all, text: 'not there' }))).toEqual(['/el9/missing']);
    expect(paths(filterAccesses(lines, { ...all, text: '200.1' }))).toEqual(['/']);
  });

  it('shows only what failed', () => {
    expect(paths(filterAccesses(lines, { ...all, failed: true }))).toEqual(['/el9/missing']);
  });
});

it.each([
  ['/el9/a%2Bb.rpm', '/el9/a%2Bb.rpm'],
  ['/el9/%C3%A9.rpm', '/el9/é.rpm'],
  ['/%zz', '/%zz'],
  ['/%1b[31m', '/\\u001b[31m'],
  ['/a"b\\c', '/a"b\\c'],
])('the path %s is shown as %s', (path, shown) => {
  expect(shownPath(path)).toBe(shown);
});
