import { describe, expect, it } from 'vitest';
import type { MergedRepo } from '../../src-shared/repos/merged-packages.ts';
import { packageRows, sizeOf } from './package-list.ts';

const one = (name: string, version: string, source: string | null) => ({ name, version, arch: 'noarch', size: 100, source });
const REPOS: readonly MergedRepo[] = [
  { folder: 'el9', distro: 'el9', at: 1, packages: [one('vdsm', '4.20-1.el9', '/home/me/build'), one('vdsm-api', '4.19-1.el9', '/store')] },
  { folder: 'suite/fc40', distro: 'fc40', at: null, packages: [one('vdsm', '4.20-1.fc40', null)] },
];
const names = (folder: string, text: string): readonly string[] =>
  packageRows(REPOS, folder, text).map((row) => `${row.folder} ${row.name} ${row.version}`);

describe('packages', () => {
  it('are those of all repositories, or of one', () => {
    expect(names('', '')).toHaveLength(3);
    expect(names('suite/fc40', '')).toEqual(['suite/fc40 vdsm 4.20-1.fc40']);
  });

  it('are found by words in any order and case', () => {
    expect(names('', '4.20 VDSM')).toEqual(['el9 vdsm 4.20-1.el9', 'suite/fc40 vdsm 4.20-1.fc40']);
    expect(names('', 'build')).toEqual(['el9 vdsm 4.20-1.el9']);
    expect(names('el9', 'fc40')).toEqual([]);
  });

  it('have a size together', () => {
    expect(REPOS.map(sizeOf)).toEqual([200, 100]);
  });
});
