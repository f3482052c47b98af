import { octetsOf, subnetOf, withLastOctet } from '../../../src-shared/addresses.ts';

export { subnetOf } from '../../../src-shared/addresses.ts';

/** Third octets that Lago leases: 192.168.200.0/24 … 192.168.255.0/24 (0.29 ended at 209). */
export const LEASE_RANGE = { minOctet: 200, maxOctet: 255 } as const;

export interface OctetRange {
  readonly minOctet: number;
  readonly maxOctet: number;
}

/** True for addresses of leasable networks. */
export function isLeasable(ip: string, range: OctetRange = LEASE_RANGE): boolean {
  const octets = octetsOf(ip);
  return octets !== undefined && octets[0] === 192 && octets[1] === 168 && octets[2] >= range.minOctet && octets[2] <= range.maxOctet;
}

/** The lowest free last octet in 2…254, outside of the dynamic range if possible. Undefined when all are used. */
export function lowestFreeOctet(
  used: ReadonlySet<number>,
  dhcp?: { readonly start: number; readonly end: number } | null,
): number | undefined {
  let inside: number | undefined;
  for (let octet = 2; octet <= 254; octet++) {
    if (used.has(octet)) continue;
    if (dhcp === undefined || dhcp === null || octet < dhcp.start || octet > dhcp.end) return octet;
    inside ??= octet;
  }
  return inside;
}

export type LeaseAnswer = { readonly gateway: string } | { readonly problem: string; readonly hint: string };

/** Allocates networks: without `gateway` the lowest free one (its .1), else exactly that one if it is free. */
export type LeaseSubnet = (gateway?: string) => LeaseAnswer;

/**
 * A pure allocator over the lease range. `taken` are networks held by others (any address of each); allocated ones count as taken from then
 * on. Networks outside of the range can be requested by address.
 */
export function freshAllocator(taken: Iterable<string> = [], range: OctetRange = LEASE_RANGE): LeaseSubnet {
  const used = new Set<string>();
  for (const ip of taken) if (octetsOf(ip) !== undefined) used.add(subnetOf(ip));
  return (gateway) => {
    if (gateway !== undefined) {
      const subnet = subnetOf(gateway);
      if (used.has(subnet)) {
        return { problem: `The network ${subnet}/24 is already taken.`, hint: 'Choose another gw, or leave it out to get a free network.' };
      }
      used.add(subnet);
      return { gateway };
    }
    for (let octet = range.minOctet; octet <= range.maxOctet; octet++) {
      const subnet = `192.168.${octet}.0`;
      if (used.has(subnet)) continue;
      used.add(subnet);
      return { gateway: withLastOctet(subnet, 1) };
    }
    return {
      problem: `No network is free between 192.168.${range.minOctet}.0/24 and 192.168.${range.maxOctet}.0/24.`,
      hint: 'Destroy environments that are no longer used; "lago leases" shows who holds what.',
    };
  };
}
