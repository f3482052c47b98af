import { expect } from '@playwright/test';
import {
  addressIn,
  COUNTING_VMS,
  type Counted,
  contradictions,
  countedIn,
  countingInitFile,
  LISTEN,
  sendTo,
  TELL,
  wentOn,
} from '../support/counting-guests.ts';
import { lagoOk } from '../support/lago.ts';
import type { Scratch } from '../support/scratch.ts';

/** VMs that count and send each other the numbers, in an environment of the real command line. */

export const VMS = COUNTING_VMS;

export function threeVms(scratch: Scratch): string {
  return scratch.write('counting.json', countingInitFile());
}

/** Runs a command line in a VM. */
export async function inGuest(scratch: Scratch, prefix: string, vm: string, command: string): Promise<string> {
  return (await lagoOk(scratch, ['--prefix-name', prefix, 'shell', vm, command])).stdout;
}

/** Lets the VMs of a running environment count for ever, each sending to the next one. */
export async function letThemCount(scratch: Scratch, prefix: string): Promise<void> {
  const addresses: string[] = [];
  for (const vm of VMS) addresses.push(addressIn(await inGuest(scratch, prefix, vm, LISTEN)));
  for (const [index, vm] of VMS.entries()) {
    await inGuest(scratch, prefix, vm, sendTo(addresses[(index + 1) % VMS.length] ?? ''));
  }
  await expectCounting(scratch, prefix);
}

export async function counted(scratch: Scratch, prefix: string, vm: string): Promise<Counted> {
  return countedIn(await inGuest(scratch, prefix, vm, TELL));
}

/**
 * Every VM counts on from where it was, on the connections of before: nobody has got what nobody has sent, nothing was lost on the way, and
 * each goes on sending and getting. Returns the numbers at the beginning.
 */
export async function expectCounting(scratch: Scratch, prefix: string): Promise<readonly Counted[]> {
  const all = async (): Promise<readonly Counted[]> => await Promise.all(VMS.map(async (vm) => await counted(scratch, prefix, vm)));
  const first = await all();
  await expect.poll(async () => wentOn(first, await all(), 4), { timeout: 60_000, intervals: [300, 1000] }).toBe(true);
  // Those that were asked later may have sent more by then, and never less.
  expect(contradictions(await all(), await all()), prefix).toEqual([]);
  return first;
}
