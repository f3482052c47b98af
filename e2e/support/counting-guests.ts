/**
 * VMs that count, in memory and on disk, and send each number to the next one over a connection that is never opened again: what is typed
 * in the guests and how their answers are read, for whoever can run commands there.
 */

export const COUNTING_VMS = ['a', 'b', 'c'] as const;

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

/** An init file of three of them on one network; one has a raw disk beside the first. */
export function countingInitFile(): string {
  const disk = { name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' };
  const vm = { memory: 160, vcpu: 1, nics: [{ net: 'front' }], disks: [disk] };
  return JSON.stringify({
    nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
    domains: { a: vm, b: { ...vm, disks: [disk, { name: 'data', dev: 'vdb', format: 'raw', type: 'empty', size: '16M' }] }, c: vm },
  });
}

const RECEIVE = `tail -f /dev/null | nc -l -p 7000 | { p=0; while read n; do [ "$n" = $((p+1)) ] || echo "$p then $n" >>/tmp/broken; p=$n; echo $p >/tmp/got; done; echo "no more input" >>/tmp/broken; }`;

/** Makes a VM wait for numbers, and tells its address (`addressIn`). */
export const LISTEN = `rm -f /root/kept; mount -t tmpfs none /tmp; (${RECEIVE}) >/dev/null 2>&1 & ip -4 -o addr show dev eth0`;

/** The address that `LISTEN` told; empty when it told none. */
export function addressIn(text: string): string {
  return /inet ([\d.]+)/.exec(text)?.[1] ?? '';
}

/** Makes a VM count for ever, and send its numbers to another one that listens. */
export function sendTo(address: string): string {
  const count = `{ n=0; while :; do n=$((n+1)); echo $n >/tmp/sent; echo $n; [ $((n%2)) = 0 ] && echo $n >/root/kept && sync; usleep 300000; done; }`;
  return `(${count} | nc ${address} 7000; echo "cannot send" >>/tmp/broken) >/dev/null 2>&1 &`;
}

/** Prints what a VM has counted, for `countedIn`. A number is being written again and again: between two writes its file is empty. */
export const TELL =
  'r() { while [ -e "$1" ]; do x=$(cat "$1"); [ -n "$x" ] && echo "$x" && return; done; echo 0; }; r /tmp/got; r /root/kept; r /tmp/sent; cat /tmp/broken 2>/dev/null; true';

const AGAIN = '--';
/**
 * Prints what a VM has counted, and once more when it has sent and got four numbers more; for `countedTwiceIn`. After a minute it waits no
 * longer.
 */
export const TELL_TWICE = `tell() { ${TELL}; }; tell; s=$(r /tmp/sent); g=$(r /tmp/got); i=0; while [ $(r /tmp/sent) -lt $((s+4)) -o $(r /tmp/got) -lt $((g+4)) ] && [ $i -lt 300 ]; do usleep 200000; i=$((i+1)); done; echo ${AGAIN}; tell`;

export function countedTwiceIn(text: string): readonly [first: Counted, then: Counted] {
  const [first = '', then = ''] = text.split(`${AGAIN}\n`);
  return [countedIn(first), countedIn(then)];
}

export function countedIn(text: string): Counted {
  const [got = '', kept = '', sent = '', ...broken] = text.split('\n');
  return { got: Number(got), kept: Number(kept), sent: Number(sent), broken: broken.join('\n').trim() };
}

/** Whether each VM has sent and got at least so many numbers more than before. */
export function wentOn(before: readonly Counted[], now: readonly Counted[], numbers: number): boolean {
  return now.every((one, index) => {
    const { got = 0, sent = 0 } = before[index] ?? {};
    return one.got >= got + numbers && one.sent >= sent + numbers;
  });
}

/** What must not be: VMs that have got or kept what nobody had sent, or on the way to which a number was lost. `later` was asked later. */
export function contradictions(vms: readonly Counted[], later: readonly Counted[]): readonly string[] {
  return vms.flatMap(({ broken, kept, got }, index) => {
    const name = COUNTING_VMS[index];
    const [own, before] = [later[index]?.sent ?? 0, later[(index + vms.length - 1) % vms.length]?.sent ?? 0];
    return [
      ...(broken === '' ? [] : [`${name}: ${broken}`]),
      ...(kept <= own ? [] : [`${name} has kept ${kept}, and sent ${own}`]),
      ...(got <= before ? [] : [`${name} has got ${got}, of which ${before} were sent`]),
    ];
  });
}
