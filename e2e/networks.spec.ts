import { expect, test } from '@playwright/test';
import { lago, lagoOk } from './support/lago.ts';
import { expectNothingLeft, ownedNamespaces } from './support/leaks.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';

let scratch: Scratch;
useScratch((made) => {
  scratch = made;
});

// Both names begin with the same twelve characters, for which Lago would use a single bridge.
const FILE = `
root: &root {name: root, dev: vda, format: qcow2, type: template, template_name: lago-sample}
domains:
  alpha: {memory: 192, vcpu: 1, nics: [{net: network-number-1}, {net: network-number-2}, {net: wire, ip: 10.9.9.1}], disks: [*root]}
  beta: {memory: 192, vcpu: 1, nics: [{net: network-number-1, ip: 192.168.200.77}], disks: [*root]}
  gamma: {memory: 192, vcpu: 1, nics: [{net: network-number-2}, {net: other}], disks: [*root]}
nets:
  network-number-1:
    type: nat
    management: true
    mtu: 1400
    dns_domain_name: lab.example
    dns_records: {registry: 10.8.7.6}
    dhcp: {start: 100, end: 254}
  network-number-2: {type: nat, dhcp: {start: 100, end: 254}}
  other: {type: nat, management: true, dhcp: {start: 100, end: 254}}
  wire: {type: bridge}
`;

interface Plan {
  readonly vms: Readonly<Record<string, { readonly nics: readonly { readonly net: string; readonly ip: string; readonly mac: string }[] }>>;
  readonly nets: Readonly<Record<string, { readonly gw: string }>>;
}

/** Network configuration of each card, as seen in the guest. */
const CARD =
  "for i in 0 1; do [ -e /sys/class/net/eth$i ] || continue; echo $(ip -4 -o addr show dev eth$i | awk '{print $4}') $(cat /sys/class/net/eth$i/address /sys/class/net/eth$i/mtu); done";

/** Prints the address to which each name resolves, in this order. Most of them cannot be reached, so all are pinged at once. */
function resolving(names: readonly string[]): string {
  const list = names.join(' ');
  return `for n in ${list}; do ping -c 1 -W 1 $n >/tmp/of-$n & done; wait; for n in ${list}; do sed -n '1s/.*(\\(.*\\)).*/\\1/p' /tmp/of-$n; done`;
}

test('guests have the planned addresses, know each other by name and reach only their own networks', async () => {
  const file = scratch.write('networks.yaml', FILE);
  const plan = JSON.parse((await lagoOk(scratch, ['-f', 'json', 'plan', '--fresh-leases', file])).stdout) as Plan;
  await lagoOk(scratch, ['init', file]);
  await lagoOk(scratch, ['start']);
  const namespaces = ownedNamespaces(scratch);
  const inGuest = async (vm: string, command: string): Promise<string> => (await lagoOk(scratch, ['shell', vm, command])).stdout.trim();
  const card = (vm: string, index: number): Plan['vms'][string]['nics'][number] => {
    const nic = plan.vms[vm]?.nics[index];
    if (nic === undefined) throw new Error(`The plan has no card ${index} of ${vm}.`);
    return nic;
  };

  // Addresses, MACs and MTU match the plan.
  for (const vm of ['alpha', 'beta', 'gamma']) {
    const expected = plan.vms[vm]?.nics
      .filter((nic) => nic.net !== 'wire')
      .map((nic) => `${nic.ip}/24 ${nic.mac} ${nic.net === 'network-number-1' ? 1400 : 1500}`);
    // ssh works as soon as one card is up; the other one may still be waiting for DHCP.
    await expect.poll(async () => (await inGuest(vm, CARD)).split('\n'), { timeout: 180_000 }).toEqual(expected);
  }
  expect(card('beta', 0).ip).toBe('192.168.200.77');

  // Every management network resolves the names of all networks, with and without domain.
  const names: readonly (readonly [string, string])[] = [
    ['alpha', card('alpha', 0).ip],
    ['alpha.lab.example', card('alpha', 0).ip],
    ['alpha-eth0', card('alpha', 0).ip],
    ['alpha-network-number-1', card('alpha', 0).ip],
    ['alpha-network-number-1-0', card('alpha', 0).ip],
    ['alpha-eth1', card('alpha', 1).ip],
    ['alpha-network-number-2', card('alpha', 1).ip],
    ['beta', card('beta', 0).ip],
    ['gamma', card('gamma', 1).ip],
    ['gamma-eth0', card('gamma', 0).ip],
    ['gamma-other-0', card('gamma', 1).ip],
    ['registry', '10.8.7.6'],
  ];
  // A guest's own name is 127.0.1.1 in its hosts file, so skip it.
  const resolve = async (vm: string, asked: readonly string[]): Promise<string[]> => (await inGuest(vm, resolving(asked))).split('\n');
  const onFirst = names.filter(([name]) => name !== 'beta');
  expect(
    await resolve(
      'beta',
      onFirst.map(([name]) => name),
    ),
  ).toEqual(onFirst.map(([, ip]) => ip));
  const onOther = names.filter(([name]) => name !== 'gamma' && name !== 'registry' && !name.includes('.'));
  expect(
    await resolve(
      'gamma',
      onOther.map(([name]) => name),
    ),
  ).toEqual(onOther.map(([, ip]) => ip));

  // Neighbours are reachable; networks on which a VM has no card are not.
  const reaches = async (vm: string, address: string): Promise<boolean> =>
    (await lago(scratch, ['shell', vm, `ping -c 1 -W 3 ${address}`])).stdout.includes('1 packets received');
  const pairs: readonly (readonly [from: string, to: string, reached: boolean])[] = [
    ['beta', card('alpha', 0).ip, true],
    ['alpha', card('gamma', 0).ip, true],
    ['beta', card('alpha', 1).ip, false],
    ['beta', card('gamma', 0).ip, false],
    ['beta', card('gamma', 1).ip, false],
    ['gamma', card('beta', 0).ip, false],
  ];
  // All at once: those that reach nobody take their whole time limit.
  expect(await Promise.all(pairs.map(async ([from, to]) => [from, to, await reaches(from, to)]))).toEqual(pairs);

  // On the unique local IPv6 network, the gateway and a neighbour answer on the addresses derived from their IPv4 addresses.
  const six = (ip: string): string => `fd8f:1391:3a82:${ip.split('.')[2]}::${ip}`;
  for (const vm of ['alpha', 'beta'])
    await inGuest(vm, `echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad; ip -6 addr add ${six(card(vm, 0).ip)}/64 dev eth0`);
  expect(await reaches('beta', `fd8f:1391:3a82:${card('beta', 0).ip.split('.')[2]}::1`)).toBe(true);
  expect(await reaches('beta', six(card('alpha', 0).ip))).toBe(true);
  // Only names on the queried network have IPv6 addresses.
  const answers = await inGuest('beta', 'nslookup alpha; nslookup gamma; true');
  expect(answers).toContain(six(card('alpha', 0).ip).replace(/::.*/, '::'));
  expect(answers).toContain(card('gamma', 1).ip);

  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNothingLeft(scratch, namespaces);
});
