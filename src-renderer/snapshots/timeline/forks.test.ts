import { describe, expect, it } from 'vitest';
import { FORKED, OVIRT, SHOP } from '../../dev/demo-values.ts';
import { type ForkedEnvironment, forksOf, groupForks, originOf } from './forks.ts';

function fork(id: string, snapshot: string | null, at: number): ForkedEnvironment {
  return { id, name: `env-${id}`, snapshot, at };
}

describe('forks', () => {
  it('are found among the environments, and so is where one came from', () => {
    const all = [SHOP, FORKED, OVIRT];
    expect(forksOf(all, SHOP.id)).toEqual([{ id: FORKED.id, name: 'shop-upgrade', snapshot: 'postgres', at: FORKED.forkedFrom?.at }]);
    expect(forksOf(all, OVIRT.id)).toEqual([]);
    expect(originOf(FORKED, all)).toMatchObject({ id: SHOP.id, name: SHOP.name, snapshot: 'postgres' });
    expect(originOf(FORKED, [FORKED])).toMatchObject({ id: SHOP.id, name: null });
    expect(originOf(SHOP, all)).toBeNull();
  });

  it('share a label when they are of one snapshot, or of the present at one time', () => {
    const groups = groupForks([
      fork('a', 'base', 5),
      fork('b', null, 1_000),
      fork('c', 'base', 9_000_000),
      fork('d', null, 2_000),
      fork('e', null, 500_000),
    ]);
    expect(groups.map(({ environments }) => environments)).toEqual([['a', 'c'], ['b', 'd'], ['e']]);
  });
});
