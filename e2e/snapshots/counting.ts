import { expect } from '@playwright/test';
import { lagoOk } from '../support/lago.ts';
import type { Scratch } from '../support/scratch.ts';

/** VMs that count, in memory and on disk, and send each number to the next one over a connection that is never opened again. */

export const VMS = ['a', 'b', 'c'] as const;

/** What a VM has counted. All numbers begin with 1 and only grow. */
export interface Counted {
  /** Of this VM's own numbers, the last one; written before it is sent. */
  readonly sent: number;
  /** The last one on disk. */
  readonly kept: number;
  /** The last one that it got from the VM before it. */
  readonly got: number;
  /** Whatever must not happen: a number that does not follow the one before it, the end of a connection. */
  readonly broken: string;
}

export function threeVms(scratch: Scratch): string {
  const disk = { name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' };
  const vm = { memory: 160, vcpu: 1, nics: [{ net: 'front' }], disks: [disk] };
  return scratch.write(
    'counting.json',
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: { a: vm, b: { ...vm, disks: [disk, { name: 'data', dev: 'vdb', format: 'raw', type: 'empty', size: '16M' }] }, c: vm },
    }),
  );
}

/** Runs a command line in a VM. */
export async function inGuest(scratch: Scratch, prefix: string, vm: string, command: string): Promise<string> {
  return (await lagoOk(scratch, ['--prefix-name', prefix, 'shell', vm, command])).stdout;
}

const RECEIVE = `tail -f /dev/null | nc -l -p 7000 | { p=0; while read n; do [ "$n" = $((p+1)) ] || echo "$p then $n" >>/tmp/broken; p=$n; echo $p >/tmp/got; done; echo "no more input" >>/tmp/broken; }`;
const send = (to: string): string =>
  `{ n=0; while :; do n=$((n+1)); echo $n >/tmp/sent; echo $n; [ $((n%2)) = 0 ] && echo $n >/root/kept && sync; usleep 300000; done; } | nc ${to} 7000; echo "cannot send" >>/tmp/broken`;

/** Lets the VMs of a running environment count for ever, each sending to the next one. */
export async function letThemCount(scratch: Scratch, prefix: string): Promise<void> {
  const addresses: string[] = [];
  for (const vm of VMS) {
    const text = await inGuest(scratch, prefix, vm, `mount -t tmpfs none /tmp; (${RECEIVE}) >/dev/null 2>&1 & ip -4 -o addr show dev eth0`);
    addresses.push(/inet ([\d.]+)/.exec(text)?.[1] ?? '');
  }
  for (const [index, vm] of VMS.entries()) {
    await inGuest(scratch, prefix, vm, `(${send(addresses[(index + 1) % VMS.length] ?? '')}) >/dev/null 2>&1 &`);
  }
  await expectCounting(scratch, prefix);
}

/** Reads a number that is being written again and again: between two writes the file is empty for a moment. */
const READ = 'r() { while [ -e "$1" ]; do x=$(cat "$1"); [ -n "$x" ] && echo "$x" && return; done; echo 0; }';

export async function counted(scratch: Scratch, prefix: string, vm: string): Promise<Counted> {
  const text = await inGuest(scratch, prefix, vm, `${READ}; r /tmp/got; r /root/kept; r /tmp/sent; cat /tmp/broken 2>/dev/null; true`);
  const [got = '', kept = '', sent = '', ...broken] = text.split('\n');
  return { got: Number(got), kept: Number(kept), sent: Number(sent), broken: broken.join('\n').trim() };
}

/**
 * Every VM counts on from where it was, on the connections of before: nobody has got what nobody has sent, nothing was lost on the way, and
 * each goes on sending and getting. Returns the numbers at the beginning.
 */
export async function expectCounting(scratch: Scratch, prefix: string): Promise<readonly Counted[]> {
  const all = async (): Promise<readonly Counted[]> => await Promise.all(VMS.map(async (vm) => await counted(scratch, prefix, vm)));
  const first = await all();
  await expect
    .poll(
      async () => {
        const now = await all();
        return now.every((one, index) => one.got > (first[index]?.got ?? 0) + 3 && one.sent > (first[index]?.sent ?? 0) + 3);
      },
      { timeout: 60_000, intervals: [300, 1000] },
    )
    .toBe(true);
  // Those that were asked later may have sent more by then, and never less.
  const got = await all();
  const sent = await all();
  for (const [index, vm] of VMS.entries()) {
    expect(got[index]?.broken, `VM ${vm} of ${prefix}`).toBe('');
    expect(got[index]?.kept).toBeLessThanOrEqual(sent[index]?.sent ?? 0);
    expect(got[index]?.got).toBeLessThanOrEqual(sent[(index + VMS.length - 1) % VMS.length]?.sent ?? 0);
  }
  return first;
}
