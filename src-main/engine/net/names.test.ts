import { expect, it } from 'vitest';
import { nicNames } from './names.ts';

it("names a card in Lago's order", () => {
  expect(nicNames('vm0', 0, 'n', 0, true)).toEqual(['vm0-eth0', 'vm0', 'vm0-n', 'vm0-n-0']);
  expect(nicNames('vm0', 2, 's', 1, false)).toEqual(['vm0-eth2', 'vm0-s-1']);
});
