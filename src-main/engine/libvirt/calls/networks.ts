import type { CallOptions, DhcpLease, NetworkCalls, NetworkSection, NetworkStatus } from '../hypervisor.ts';
import { LIBVIRT_ERROR, type NetworkRef, procedures } from '../rpc/protocol.ts';
import { libvirtCode, networkMissing } from './errors.ts';
import { scopeFlags } from './scope.ts';
import type { LibvirtSession } from './session.ts';

const LIST_PERSISTENT = 4;
const LIST_ACTIVE = 2;

/** virNetworkUpdateCommand. */
const COMMANDS = { modify: 1, delete: 2, add: 3 } as const;
/** virNetworkUpdateSection. */
const SECTIONS: Readonly<Record<NetworkSection, number>> = {
  'dhcp host': 4,
  'dhcp range': 5,
  'dns host': 10,
  'dns txt': 11,
  'dns srv': 12,
};
const UPDATE_HAS_CORRECT_ORDER = 16;
/** "The first one that fits", for sections that may be there more than once. */
const ANY_PARENT = -1;

/** Calls about networks. */
export function networkCalls(session: LibvirtSession): NetworkCalls {
  return {
    async listNetworks(options?: CallOptions): Promise<readonly NetworkStatus[]> {
      const doing = 'Listing networks';
      const [all, active, persistent] = await Promise.all([
        session.call(procedures.connectListAllNetworks, { wantResults: 1, flags: 0 }, doing, options),
        session.call(procedures.connectListAllNetworks, { wantResults: 1, flags: LIST_ACTIVE }, doing, options),
        session.call(procedures.connectListAllNetworks, { wantResults: 1, flags: LIST_PERSISTENT }, doing, options),
      ]);
      const activeIds = new Set(active.networks.map((network) => network.uuid));
      const persistentIds = new Set(persistent.networks.map((network) => network.uuid));
      return all.networks
        .map(({ name, uuid }) => ({ name, uuid, active: activeIds.has(uuid), persistent: persistentIds.has(uuid) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async findNetwork(name: string, options?: CallOptions): Promise<NetworkStatus | undefined> {
      const network = await findNetwork(session, name, options);
      return network === undefined ? undefined : await statusOf(session, network, options);
    },

    async networkXml(name: string, options?: CallOptions): Promise<string> {
      const network = await networkOf(session, name, options);
      return (await session.call(procedures.networkGetXml, { network, flags: 0 }, `Reading the description of network ${name}`, options))
        .xml;
    },

    async defineNetwork(xml: string, options?: CallOptions): Promise<NetworkStatus> {
      const { network } = await session.call(procedures.networkDefine, { xml }, 'Defining a network', options);
      const status = await statusOf(session, network, options);
      if (status === undefined) throw networkMissing(network.name);
      return status;
    },

    async startNetwork(name: string, options?: CallOptions): Promise<void> {
      const network = await networkOf(session, name, options);
      await session.call(procedures.networkCreate, { network }, `Starting network ${name}`, options);
    },

    async destroyNetwork(name: string, options?: CallOptions): Promise<void> {
      const network = await findNetwork(session, name, options);
      // Queried first, since some drivers stop an inactive network, and announce that.
      if (network === undefined || (await statusOf(session, network, options))?.active !== true) return;
      try {
        await session.call(procedures.networkDestroy, { network }, `Taking down network ${name}`, options);
      } catch (error) {
        const code = libvirtCode(error);
        if (code === LIBVIRT_ERROR.noNetwork) return;
        if (code === LIBVIRT_ERROR.operationInvalid && (await statusOf(session, network, options))?.active !== true) return;
        throw error;
      }
    },

    async undefineNetwork(name: string, options?: CallOptions): Promise<void> {
      const network = await findNetwork(session, name, options);
      if (network === undefined) return;
      try {
        await session.call(procedures.networkUndefine, { network }, `Removing network ${name}`, options);
      } catch (error) {
        if (libvirtCode(error) !== LIBVIRT_ERROR.noNetwork) throw error;
      }
    },

    async networkLeases(name: string, options?: CallOptions): Promise<readonly DhcpLease[]> {
      const network = await networkOf(session, name, options);
      const args = { network, mac: undefined, wantResults: 1, flags: 0 };
      const { leases } = await session.call(procedures.networkGetLeases, args, `Reading the leases of network ${name}`, options);
      return leases.map((lease) => ({ mac: lease.mac ?? '', ip: lease.ip, hostname: lease.hostname, expiresAt: lease.expiresAt * 1000 }));
    },

    async updateNetwork(name, { command, section, xml, subnet = ANY_PARENT }, scope, options) {
      const network = await networkOf(session, name, options);
      const doing = `Changing network ${name}`;
      const { supported } = await session.call(procedures.connectSupportsFeature, { feature: UPDATE_HAS_CORRECT_ORDER }, doing, options);
      // Daemons before 7.2 read these two the wrong way round.
      const [first, second] = supported === 0 ? [SECTIONS[section], COMMANDS[command]] : [COMMANDS[command], SECTIONS[section]];
      const args = { network, command: first, section: second, parentIndex: subnet, xml, flags: scopeFlags(scope) };
      await session.call(procedures.networkUpdate, args, doing, options);
    },
  };
}

async function findNetwork(session: LibvirtSession, name: string, options: CallOptions | undefined): Promise<NetworkRef | undefined> {
  try {
    return (await session.call(procedures.networkLookupByName, { name }, `Looking for network ${name}`, options)).network;
  } catch (error) {
    if (libvirtCode(error) === LIBVIRT_ERROR.noNetwork) return undefined;
    throw error;
  }
}

async function networkOf(session: LibvirtSession, name: string, options: CallOptions | undefined): Promise<NetworkRef> {
  const network = await findNetwork(session, name, options);
  if (network === undefined) throw networkMissing(name);
  return network;
}

async function statusOf(
  session: LibvirtSession,
  network: NetworkRef,
  options: CallOptions | undefined,
): Promise<NetworkStatus | undefined> {
  const doing = `Asking about network ${network.name}`;
  try {
    const [{ active }, { persistent }] = await Promise.all([
      session.call(procedures.networkIsActive, { network }, doing, options),
      session.call(procedures.networkIsPersistent, { network }, doing, options),
    ]);
    return { name: network.name, uuid: network.uuid, active: active === 1, persistent: persistent === 1 };
  } catch (error) {
    if (libvirtCode(error) === LIBVIRT_ERROR.noNetwork) return undefined;
    throw error;
  }
}
