import type { Refusal } from '../dial.ts';
import type { DhcpSigns } from './dhcp-scan.ts';
import type { SerialSigns, Sign } from './serial-scan.ts';

/** What the ssh attempts have found. */
export interface SshFacts {
  /** A server answered. */
  readonly answered: Sign | undefined;
  readonly login: Sign | undefined;
  /** Why the last attempt failed, and since when it has been this reason. */
  readonly refusal: { readonly reason: Refusal; readonly message: string; readonly since: number } | undefined;
}

/** What surrounds the VM; asked only while it hangs. */
export interface Surroundings {
  /** Names of network cards (eth0) whose link is down. */
  readonly linksDown: readonly string[];
  /** Whether the network's DHCP server runs; undefined when that cannot be found out. */
  readonly dhcpServer: boolean | undefined;
  /** Whether the network's host has seen the guest at its address; undefined when that cannot be found out. */
  readonly neighbour: boolean | undefined;
  readonly suspended: boolean;
  /** Whether the guest agent has opened its channel, which needs no network. */
  readonly agent: boolean;
}

/** All that is known about a VM since its start. Times are ms since the epoch. */
export interface BootFacts {
  readonly vm: string;
  readonly user: string;
  /** Its address on the management network, and that network's name; undefined on networks without addresses. */
  readonly address: string | undefined;
  readonly network: string | undefined;
  /** When QEMU was started; undefined when unknown. */
  readonly startedAt: number | undefined;
  /** It did not boot: it continues from a snapshot with memory. */
  readonly continued: boolean;
  /** Undefined when the console's output cannot be read. */
  readonly serial: SerialSigns | undefined;
  /** Undefined when its management network has no DHCP. */
  readonly dhcp: DhcpSigns | undefined;
  readonly ssh: SshFacts;
  /** Undefined when the VM has no cloud-init seed. `failed` is what cloud-init reported. */
  readonly cloudInit: { readonly finished: Sign | undefined; readonly failed: string | undefined } | undefined;
  readonly around: Surroundings;
  /** The guest agent answers; undefined while it does not, and in guests that have none. */
  readonly agent: Sign | undefined;
}
