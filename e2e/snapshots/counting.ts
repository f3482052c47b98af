import { expect } from '@playwright/test';
import {
  addressIn,
  COUNTING_VMS,
  type Counted,
  contradictions,
  countedIn,
  countedTwiceIn,
  countingInitFile,
  LISTEN,
  sendTo,
  TELL,
  TELL_TWICE,
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
  const addresses = await Promise.all(VMS.map(async (vm) => addressIn(await inGuest(scratch, prefix, vm, LISTEN))));
  await Promise.all(VMS.map(async (vm, index) => await inGuest(scratch, prefix, vm, sendTo(addresses[(index + 1) % VMS.length] ?? ''))));
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
  const told = await Promise.all(VMS.map(async (vm) => countedTwiceIn(await inGuest(scratch, prefix, vm, TELL_TWICE))));
  const [first, then] = [told.map(([before]) => before), told.map(([, after]) => after)];
  expect(wentOn(first, then, 4), `${prefix}: ${JSON.stringify(told)}`).toBe(true);
  // Those that were asked later may have sent more by then, and never less.
  const later = await Promise.all(VMS.map(async (vm) => await counted(scratch, prefix, vm)));
  expect(contradictions(then, later), prefix).toEqual([]);
  return first;
}
