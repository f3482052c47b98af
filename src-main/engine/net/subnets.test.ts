import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPrivate, lastOctet, macOf, octetsOf, sameSubnet, subnetOf, ulaPrefixOf, withLastOctet } from '../../../src-shared/addresses.ts';
import { freshAllocator, isLeasable, lowestFreeOctet } from './subnets.ts';

const octet = fc.integer({ min: 0, max: 255 });
const address = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));

describe('addresses', () => {
  it.each<[string, boolean]>([
    ['0.0.0.0', true],
    ['255.255.255.255', true],
    ['256.0.0.0', false],
    ['1.2.3', false],
    ['1.2.3.4.5', false],
    ['1.2.3.-4', false],
    ['', false],
    ['a.b.c.d', false],
    ['1.2.3.4 ', false],
  ])('%j', (text, valid) => {
    expect(octetsOf(text) !== undefined).toBe(valid);
  });

  it('take apart and put together (property)', () => {
    fc.assert(
      fc.property(address, octet, (ip, last) => {
        expect(octetsOf(ip)?.join('.')).toBe(ip);
        const other = withLastOctet(ip, last);
        expect(lastOctet(other)).toBe(last);
        expect(sameSubnet(ip, other)).toBe(true);
        expect(subnetOf(other)).toBe(subnetOf(ip));
      }),
    );
  });

  it('have MACs of their own (property)', () => {
    fc.assert(
      fc.property(address, address, (left, right) => {
        expect(macOf(left)).toMatch(/^54:52(:[0-9a-f]{2}){4}$/);
        expect(macOf(left) === macOf(right)).toBe(left === right);
      }),
    );
    expect(macOf('192.168.200.2')).toBe('54:52:c0:a8:c8:02');
    expect(() => macOf('x')).toThrow(RangeError);
  });

  it('give a unique local prefix', () => {
    expect(ulaPrefixOf('192.168.205.1')).toBe('fd8f:1391:3a82:205::');
  });

  it.each<[string, boolean]>([
    ['10.1.2.3', true],
    ['172.16.0.1', true],
    ['172.32.0.1', false],
    ['192.168.0.1', true],
    ['8.8.8.8', false],
    ['x', false],
  ])('%s is private: %s', (ip, expected) => {
    expect(isPrivate(ip)).toBe(expected);
  });

  it.each<[string, boolean]>([
    ['192.168.200.1', true],
    ['192.168.255.9', true],
    ['192.168.199.1', false],
    ['10.168.200.1', false],
  ])('%s can be leased: %s', (ip, expected) => {
    expect(isLeasable(ip)).toBe(expected);
  });
});

describe('the lowest free address', () => {
  it('is free, lowest, and outside of the range if possible (property)', () => {
    fc.assert(
      fc.property(fc.array(octet), octet, octet, (used, one, two) => {
        const taken = new Set(used);
        const dhcp = { start: Math.min(one, two), end: Math.max(one, two) };
        const candidates = Array.from({ length: 253 }, (_, index) => index + 2).filter((number) => !taken.has(number));
        const outside = candidates.filter((number) => number < dhcp.start || number > dhcp.end);
        expect(lowestFreeOctet(taken, dhcp)).toBe(outside[0] ?? candidates[0]);
        expect(lowestFreeOctet(taken)).toBe(candidates[0]);
      }),
    );
  });
});

describe('an allocator', () => {
  it('gives each network once, and fails when none is left', () => {
    const lease = freshAllocator(['192.168.201.77'], { minOctet: 200, maxOctet: 203 });
    expect(lease('192.168.202.9')).toEqual({ gateway: '192.168.202.9' });
    expect([lease(), lease()]).toEqual([{ gateway: '192.168.200.1' }, { gateway: '192.168.203.1' }]);
    expect(lease()).toMatchObject({ problem: 'No network is free between 192.168.200.0/24 and 192.168.203.0/24.' });
    expect(lease('192.168.201.1')).toMatchObject({ problem: 'The network 192.168.201.0/24 is already taken.' });
    expect(lease('10.0.0.1')).toEqual({ gateway: '10.0.0.1' });
    expect(lease('10.0.0.2')).toMatchObject({ problem: 'The network 10.0.0.0/24 is already taken.' });
  });
});
