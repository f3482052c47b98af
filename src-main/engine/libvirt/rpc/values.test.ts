import { describe, expect, it } from 'vitest';
import type { DomainSnapshot } from '../hypervisor.ts';
import { snapshotOf, sortSnapshots, versionText } from './values.ts';

function snapshot(name: string, createdAt: number, parent?: string): DomainSnapshot {
  return { name, parent, createdAt, state: 'running', current: false };
}

describe('snapshotOf', () => {
  it.each([
    ['running', 'running'],
    ['paused', 'paused'],
    ['pmsuspended', 'paused'],
    ['shutoff', 'shutoff'],
    ['crashed', 'shutoff'],
    ['disk-snapshot', 'disk-snapshot'],
  ])('reads state %s as %s', (state, expected) => {
    const text = `<domainsnapshot><name>a &amp; b</name><state>${state}</state><parent><name>p</name></parent>
      <creationTime>1700000000</creationTime><domain><name>vm0</name></domain></domainsnapshot>`;
    expect(snapshotOf(text, 'a & b')).toEqual({ name: 'a & b', parent: 'p', createdAt: 1_700_000_000_000, state: expected, current: true });
  });

  it('has no parent when libvirt names none', () => {
    expect(snapshotOf('<domainsnapshot><name>a</name><state>running</state></domainsnapshot>', undefined)).toMatchObject({
      parent: undefined,
      current: false,
    });
  });
});

describe('sortSnapshots', () => {
  it('goes by time, then parents first, then name', () => {
    const sorted = sortSnapshots([
      snapshot('c', 5, 'z'),
      snapshot('z', 5, 'r'),
      snapshot('b', 5, 'z'),
      snapshot('r', 5),
      snapshot('late', 9),
      snapshot('a', 1),
    ]);
    expect(sorted.map((one) => one.name)).toEqual(['a', 'r', 'z', 'b', 'c', 'late']);
  });

  it('terminates on a cycle of parents', () => {
    expect(sortSnapshots([snapshot('a', 1, 'b'), snapshot('b', 1, 'a')])).toHaveLength(2);
  });
});

it('versionText', () => {
  expect([9_000_000, 11_003_007, 7_002].map(versionText)).toEqual(['9.0.0', '11.3.7', '0.7.2']);
});
