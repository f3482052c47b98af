import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bridgeName, domainName, networkName, prefixedName } from './names.ts';

const uuid = fc.stringMatching(/^[0-9a-f]{32}$/);
const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/);

it('a network has a name that fits an interface and identifies its environment (property)', () => {
  fc.assert(
    fc.property(uuid, name, (prefix, net) => {
      const made = networkName(prefix, net);
      expect(made.length).toBeLessThanOrEqual(15);
      expect(made.startsWith(`${prefix.slice(0, 4)}-`)).toBe(true);
      expect(made).toMatch(net.length <= 10 ? /^.{5}/ : /^[0-9a-f]{4}-[0-9a-f]{10}$/);
      expect(bridgeName(prefix, { name: net })).toBe(made);
      expect(domainName(prefix, net)).toBe(`${prefix.slice(0, 8)}-${net}`);
    }),
  );
});

it('networks of one environment never share a bridge, however similar their names (property)', () => {
  fc.assert(
    fc.property(uuid, name, name, name, (prefix, start, left, right) => {
      fc.pre(left !== right);
      const bridges = [`${start}${left}`.slice(0, 63), `${start}${right}`.slice(0, 63)].map((net) => bridgeName(prefix, { name: net }));
      if (`${start}${left}`.slice(0, 63) !== `${start}${right}`.slice(0, 63)) expect(new Set(bridges).size).toBe(2);
    }),
  );
});

it('needs room for the mark', () => {
  expect(() => prefixedName('0'.repeat(32), 'x', 5)).toThrow('less than 6 characters');
  expect(prefixedName('0'.repeat(32), 'xy', 6)).toBe('0000-5');
});
