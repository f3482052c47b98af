import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nicNames } from './names.ts';

it("names a card in Lago's order", () => {
  expect(nicNames('vm0', 0, 'n', 0, true)).toEqual(['vm0-eth0', 'vm0', 'vm0-n', 'vm0-n-0']);
  expect(nicNames('vm0', 2, 's', 1, false)).toEqual(['vm0-eth2', 'vm0-s-1']);
});

it('never gives two cards of a VM the same name, whatever they are plugged into (property)', () => {
  const nets = fc.array(fc.constantFrom('n', 'mm', 'back'), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(nets, (cards) => {
      const management = cards.indexOf('n');
      const names = cards.flatMap((net, card) => {
        const before = cards.slice(0, card).filter((other) => other === net).length;
        return nicNames('vm', card, net, before, card === management);
      });
      expect(new Set(names).size).toBe(names.length);
      expect(names.filter((name) => name === 'vm').length).toBe(management < 0 ? 0 : 1);
    }),
  );
});
