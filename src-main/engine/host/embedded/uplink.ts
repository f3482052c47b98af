import type { Log } from '../../core/log.ts';
import { confinement } from './confine.ts';
import { findProgram } from './programs.ts';

export type UplinkKind = 'none' | 'pasta' | 'slirp4netns';

/** How a host's guests reach the outside: the program that carries their traffic, its arguments and the name server they see. */
export interface Uplink {
  readonly kind: UplinkKind;
  /** The word NETNS stands for the path of the host's network namespace, INTERFACE for the machine's interface that leads out. */
  readonly args: readonly string[];
  readonly nameServer: string;
}

/* Addresses between the host and its uplink: from 198.18.0.0/15 (RFC 2544, benchmarks), so that no real address is hidden. */
const NETWORK = '198.19.254';

const UPLINKS: Readonly<Record<UplinkKind, Uplink>> = {
  none: { kind: 'none', args: [], nameServer: '' },
  pasta: {
    kind: 'pasta',
    args: [
      '--foreground',
      // Started by root it would become nobody, who may not enter the host's namespaces. It drops all capabilities by itself.
      ...['--runas', '0'],
      '--config-net',
      '--quiet',
      '--ipv4-only',
      ...['--address', `${NETWORK}.2`, '--netmask', '24', '--gateway', `${NETWORK}.1`, '--dns-forward', `${NETWORK}.3`],
      ...['--interface', 'INTERFACE', '--ns-ifname', 'uplink0'],
      // Nothing leads to the machine's own loopback, and nothing is forwarded in.
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
 * What `auto` means on this machine: pasta, else slirp4netns, else none (logged). Confined runs in the machine's
 * own network have none, whatever is installed.
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
