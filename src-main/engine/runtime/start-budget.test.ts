import { expect, it } from 'vitest';
import { currentBudget, startBudget } from './start-budget.ts';

const GIB = 1024 ** 3;
const vms = (...memory: readonly number[]): readonly { readonly memory: number }[] => memory.map((mib) => ({ memory: mib }));

it.each([
  ['twice the cores', vms(256, 256, 256), { available: 8 * GIB, cpus: 1 }, 2],
  ['what libvirt serves', vms(256, 256), { available: 8 * GIB, cpus: 64 }, 4],
  ['one', [], { available: 0, cpus: 0 }, 1],
])('starts as many at once as %s', (_, some, machine, parallel) => {
  expect(startBudget(some, machine)).toMatchObject({ parallel, warning: undefined });
});

it('holds guests back only while there are others to start', () => {
  expect(startBudget(vms(256, 256), { available: 8 * GIB, cpus: 2 }).holdGuests).toBe(true);
  expect(startBudget(vms(256), { available: 8 * GIB, cpus: 2 }).holdGuests).toBe(false);
});

it('warns with both numbers when the memory does not fit, and starts one after the other', () => {
  expect(startBudget(vms(16_384, 16_384), { available: 8 * GIB, cpus: 8 })).toEqual({
    parallel: 1,
    holdGuests: false,
    warning: expect.stringMatching(/^The 2 VMs may together use 32(\.0)? GiB of memory, but only 8(\.0)? GiB are available/) as string,
  });
  expect(startBudget(vms(16_384), { available: 8 * GIB, cpus: 8 }).warning).toContain('The VM may use 16');
});

it('knows this machine', async () => {
  expect((await currentBudget(vms(1))).warning).toBeUndefined();
  expect((await currentBudget(vms(2 ** 30))).parallel).toBe(1);
});
