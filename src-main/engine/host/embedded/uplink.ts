import type { Log } from '../../core/log.ts';
import { confinement } from './confine.ts';
import { findProgram } from './programs.ts';

export type UplinkKind = 'none' | 'pasta' | 'slirp4netns';

/** How a host's guests reach the outside: the program that forwards their traffic, its arguments and the guests' name server. */
export interface Uplink {
  readonly kind: UplinkKind;
  /** NETNS stands for the path of the host's network namespace, INTERFACE for the machine's outgoing interface. */
  readonly args: readonly string[];
  readonly nameServer: string;
}

/* Addresses between host and uplink: from 198.18.0.0/15 (RFC 2544, benchmarks), so that no real address is hidden. */
const NETWORK = '198.19.254';

const UPLINKS: Readonly<Record<UplinkKind, Uplink>> = {
  none: { kind: 'none', args: [], nameServer: '' },
  pasta: {
    kind: 'pasta',
    args: [
      '--foreground',
      // By default root becomes nobody, who may not enter the host's namespaces. It drops all capabilities by itself.
      ...['--runas', '0'],
      '--config-net',
      '--quiet',
      '--ipv4-only',
      ...['--address', `${NETWORK}.2`, '--netmask', '24', '--gateway', `${NETWORK}.1`, '--dns-forward', `${NETWORK}.3`],
      ...['--interface', 'INTERFACE', '--ns-ifname', 'uplink0'],
      // No access to the machine's own loopback, and no inbound forwarding.
      '--no-map-gw',
      ...['--tcp-ports', 'none', '--udp-ports', 'none', '--tcp-ns', 'none', '--udp-ns', 'none'],
      ...['--netns-only', '--netns', 'NETNS'],
    ],
    nameServer: `${NETWORK}.3`,
  },
  slirp4netns: {
    kind: 'slirp4netns',
    args: [
      '--configure',
      '--mtu=65520',
      `--cidr=${NETWORK}.0/24`,
      '--disable-host-loopback',
      '--enable-sandbox',
      '--enable-seccomp',
      ...['--netns-type=path', 'NETNS', 'uplink0'],
    ],
    nameServer: `${NETWORK}.3`,
  },
};

/**
 * Resolves `auto` on this machine: pasta, else slirp4netns, else none (logged). Confined runs in the machine's own network get none,
 * whatever is installed.
 */
export function chooseUplink(wanted: 'auto' | 'none' | UplinkKind, environment: NodeJS.ProcessEnv, log: Log): Uplink {
  if (wanted === 'none') return UPLINKS.none;
  if (!confinement(environment).mayLeave()) {
    log.info('Guests get no uplink: this is a confined run.');
    return UPLINKS.none;
  }
  if (wanted !== 'auto') return UPLINKS[wanted];
  for (const kind of ['pasta', 'slirp4netns'] as const) {
    if (findProgram(kind, environment) !== undefined) return UPLINKS[kind];
  }
  log.warn('Guests do not reach the outside: neither pasta nor slirp4netns is installed.');
  return UPLINKS.none;
}
