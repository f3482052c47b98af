import { describe, expect, it } from 'vitest';
import type { MergedPackages, MergeReport } from '../../src-shared/repos/merged-packages.ts';
import { addSources, distrosIn, droppedSources, moveSource, ruleOf, sourceProblem, usualSources, withRule } from './source-list.ts';

describe('rules', () => {
  it.each([
    ['/build', 'latest'],
    ['/build:latest', 'latest'],
    ['/build:pinned', 'pinned'],
    ['/build:only-missing', 'only-missing'],
    ['/build:only-missing:pinned', 'pinned'],
  ] as const)('%s has the rule %s', (source, rule) => {
    expect(ruleOf(source)).toBe(rule);
  });

  it('are replaced, the usual one is not written', () => {
    expect(withRule('/build:pinned', 'only-missing')).toBe('/build:only-missing');
    expect(withRule('http://mirror/x:pinned', 'latest')).toBe('http://mirror/x');
  });
});

describe('the list', () => {
  it('takes new places first, each once, whatever their rules', () => {
    expect(addSources(['/a:pinned', '/b'], ['/c', '/a', '/c:pinned'])).toEqual(['/c', '/a:pinned', '/b']);
  });

  it('is moved within its ends', () => {
    expect(moveSource(['/a', '/b', '/c'], 1, -1)).toEqual(['/b', '/a', '/c']);
    expect(moveSource(['/a', '/b', '/c'], 1, 1)).toEqual(['/a', '/c', '/b']);
    expect(moveSource(['/a', '/b'], 0, -1)).toEqual(['/a', '/b']);
    expect(moveSource(['/a', '/b'], 1, 1)).toEqual(['/a', '/b']);
  });

  it.each(['/build', '/build/*/el9:pinned', 'http://mirror/x', 'https://mirror/x.rpm', 'file:///build'])('%s can be added', (text) => {
    expect(sourceProblem(text)).toBeUndefined();
  });

  it.each(['', 'build', './build', '~/build', 'http://', ':pinned', 'koji:x'])('"%s" cannot', (text) => {
    expect(sourceProblem(text)).toContain('absolute path');
  });
});

describe('what is dropped', () => {
  it('is a source when it is a folder or a package', () => {
    const dropped = [
      { path: '/build', folder: true },
      { path: '/a.rpm', folder: false },
      { path: '/b.deb', folder: false },
    ];
    expect(droppedSources(dropped)).toEqual({ sources: ['/build', '/a.rpm', '/b.deb'], problem: undefined });
  });

  it('is refused by name otherwise', () => {
    expect(droppedSources([{ path: '/a.txt', folder: false }])).toEqual({
      sources: [],
      problem: '/a.txt is neither a folder nor a package (.rpm, .deb).',
    });
    expect(droppedSources([{ path: '', folder: false }]).problem).toContain('What was dropped is neither');
    expect(
      droppedSources([
        { path: '/a.txt', folder: false },
        { path: '', folder: true },
        { path: '/c.rpm', folder: false },
      ]),
    ).toEqual({ sources: ['/c.rpm'], problem: '2 of what was dropped are neither folders nor packages (.rpm, .deb).' });
  });
});

it('distributions are separated by commas and blanks', () => {
  expect(distrosIn('el9, debian12 el9,')).toEqual(['el9', 'debian12']);
  expect(distrosIn('  ')).toEqual([]);
});

describe('what is usually merged', () => {
  const merged = (reports: readonly Partial<MergeReport>[], sources?: string[]): MergedPackages => ({
    reports: reports.map((one) => ({ name: null, at: 1, sources: [], conflicts: [], problems: [], older: 0, known: 0, ...one })),
    repos: [],
    declared: sources === undefined ? null : { files: [], sources, serve: false, client: 'none' },
    url: null,
    problem: null,
    clients: [],
  });

  it('is what the init file says, until something was merged', () => {
    expect(usualSources(merged([]))).toEqual([]);
    expect(usualSources(merged([], ['/build']))).toEqual(['/build']);
    expect(usualSources(merged([{ name: 'suite', sources: [{ text: '/x', synced: false }] }], ['/build']))).toEqual(['/build']);
  });

  it('is then what was merged, without what is synchronised', () => {
    const sources = [
      { text: '/other:pinned', synced: false },
      { text: '/store/base-el9:only-missing', synced: true },
    ];
    expect(usualSources(merged([{ sources }], ['/build']))).toEqual(['/other:pinned']);
  });
});
