import { describe, expect, it } from 'vitest';
import type { TemplateState, TemplateVersionState } from '../../src-shared/state.ts';
import { type CatalogueFilter, type CatalogueOrder, catalogue, evictable, evictBlocked, isFetchable, summaryOf } from './catalogue.ts';

const DAY = 86_400_000;
const NOW = 1_000 * DAY;
const USER = { name: 'shop', path: '/w/shop' };

function version(fullName: string, change: Partial<TemplateVersionState> = {}): TemplateVersionState {
  return {
    fullName,
    version: fullName.slice(fullName.lastIndexOf(':') + 1),
    moving: false,
    cached: false,
    size: null,
    virtualSize: null,
    format: null,
    publishedAt: null,
    usedAt: null,
    usedBy: [],
    from: `https://images.example/${fullName}`,
    operation: null,
    ...change,
  };
}

function stored(fullName: string, size: number, days: number, change: Partial<TemplateVersionState> = {}): TemplateVersionState {
  return version(fullName, { cached: true, size, format: 'qcow2', usedAt: NOW - days * DAY, ...change });
}

function template(id: string, title: string, versions: TemplateVersionState[], change: Partial<TemplateState> = {}): TemplateState {
  const [repository = '', name = ''] = id.split(':');
  return { id, name, repository, title, distro: null, cloudInit: false, versions, ...change };
}

const TEMPLATES = [
  template('cloud:debian-13', 'Debian 13', [version('cloud:debian-13:latest', { moving: true })], { cloudInit: true, distro: 'debian13' }),
  template('cloud:debian-9', 'Debian 9', [
    version('cloud:debian-9:latest', { moving: true }),
    stored('cloud:debian-9:20240102', 100, 40, { from: null }),
    stored('cloud:debian-9:20231201', 300, 2, { from: null, usedBy: [USER] }),
  ]),
  template('office:el7', 'el7', [stored('office:el7:v1', 200, 10, { from: null })], { distro: 'el7' }),
];

function ids(filter: Partial<CatalogueFilter>, order: CatalogueOrder = 'name'): readonly string[] {
  return catalogue(TEMPLATES, { text: '', stored: false, ...filter }, order).map((entry) => entry.template.id);
}

describe('the catalogue', () => {
  it('is ordered by name as people read it, by size and by last use', () => {
    expect(ids({})).toEqual(['cloud:debian-9', 'cloud:debian-13', 'office:el7']);
    expect(ids({}, 'size')).toEqual(['cloud:debian-9', 'office:el7', 'cloud:debian-13']);
    expect(ids({}, 'used')).toEqual(['cloud:debian-9', 'office:el7', 'cloud:debian-13']);
  });

  it.each([
    ['debian', ['cloud:debian-9', 'cloud:debian-13']],
    ['  DEBIAN cloud-init ', ['cloud:debian-13']],
    ['el7', ['office:el7']],
    ['office', ['office:el7']],
    ['debian fedora', []],
    ['shop', ['cloud:debian-9']],
    ['cloud:debian-9', ['cloud:debian-9']],
  ])('finds with %j', (text, expected) => {
    expect(ids({ text })).toEqual(expected);
  });

  it('shows and unfolds only the matching versions when the template itself does not match', () => {
    const [entry] = catalogue(TEMPLATES, { text: 'debian 20231201', stored: false }, 'name');
    expect(entry).toMatchObject({ unfold: true, versions: [{ version: '20231201' }] });
    expect(catalogue(TEMPLATES, { text: 'debian-9', stored: false }, 'name')[0]).toMatchObject({ unfold: false });
  });

  it('leaves out what the store does not have', () => {
    expect(ids({ stored: true })).toEqual(['cloud:debian-9', 'office:el7']);
    expect(catalogue(TEMPLATES, { text: '', stored: true }, 'name')[0]?.versions).toHaveLength(2);
  });
});

it('sums versions up', () => {
  expect(summaryOf(TEMPLATES[1]?.versions ?? [])).toEqual({
    stored: 2,
    size: 400,
    publishedAt: null,
    usedAt: NOW - 2 * DAY,
    usedBy: [USER],
  });
  expect(summaryOf(TEMPLATES[0]?.versions ?? [])).toMatchObject({ stored: 0, size: null, usedAt: null });
});

it('lists what can be evicted, the largest first, and what would be lost with it', () => {
  expect(evictable(TEMPLATES, 0, NOW)).toMatchObject([
    { fullName: 'office:el7:v1', size: 200, lost: true },
    { fullName: 'cloud:debian-9:20240102', size: 100, lost: false },
  ]);
  expect(evictable(TEMPLATES, 30, NOW).map((one) => one.fullName)).toEqual(['cloud:debian-9:20240102']);
  expect(evictable(TEMPLATES, 90, NOW)).toEqual([]);
});

it('knows what can be fetched again', () => {
  const [moving, older] = TEMPLATES;
  expect(moving === undefined || isFetchable(moving, version('x:y:z'))).toBe(true);
  expect(older === undefined || isFetchable(older, version('x:y:z', { from: null }))).toBe(true);
});

it.each([
  [[], undefined],
  [['shop'], 'Used by shop: its disks need it'],
  [['a', 'b'], 'Used by a, b: their disks need it'],
  [['a', 'b', 'c', 'd', 'e'], 'Used by a, b, c and 2 more: their disks need it'],
])('says why it cannot be evicted while %j use it', (names, expected) => {
  expect(evictBlocked(stored('a:b:c', 1, 1, { usedBy: names.map((name) => ({ name, path: `/${name}` })) }))).toBe(expected);
});
