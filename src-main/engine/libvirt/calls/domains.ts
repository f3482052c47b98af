import type { AskGuest, CallOptions, DomainCalls, DomainStatus } from '../hypervisor.ts';
import { type DomainRef, LIBVIRT_ERROR, procedures } from '../rpc/protocol.ts';
import { runStateOf, statisticsOf } from '../rpc/values.ts';
import { domainMissing, libvirtCode } from './errors.ts';
import type { LibvirtSession } from './session.ts';

const LIST_PERSISTENT = 4;
const XML_SECURE = 1;
const XML_INACTIVE = 2;
const XML_MIGRATABLE = 8;
const START_PAUSED = 1;
const UNDEFINE_MANAGED_SAVE = 1;
const UNDEFINE_SNAPSHOTS = 2;
const UNDEFINE_NVRAM = 4;
const UNDEFINE_CHECKPOINTS = 16;
/** virDomainShutdownFlagValues and virDomainRebootFlagValues have the same values for these. */
const ASK_BY = { acpi: 1, agent: 2 } as const;
/** State, CPU, balloon, virtual CPUs, NICs and disks. */
const STATISTICS = 1 | 2 | 4 | 8 | 16 | 32;
const STATISTICS_ACTIVE = 1;
/** A domain that another call is working on is reported without what only QEMU knows. */
const STATISTICS_NOWAIT = 1 << 29;

/**
 * QEMU responds within milliseconds; after this long it is hung, and other VMs are paused meanwhile. Longer than the 30 s after which
 * libvirt reports that other work on the domain is still going on.
 */
const SUSPEND_TIMEOUT_MS = 40_000;

/** Calls about domains as a whole. */
export function domainCalls(session: LibvirtSession): DomainCalls {
  return {
    async listDomains(options?: CallOptions): Promise<readonly DomainStatus[]> {
      const doing = 'Listing VMs';
      const [all, persistent] = await Promise.all([
        session.call(procedures.connectListAllDomains, { wantResults: 1, flags: 0 }, doing, options),
        session.call(procedures.connectListAllDomains, { wantResults: 1, flags: LIST_PERSISTENT }, doing, options),
      ]);
      const persistentIds = new Set(persistent.domains.map((domain) => domain.uuid));
      const statuses = await Promise.all(
        all.domains.map(async (domain) => await stateOf(session, domain, persistentIds.has(domain.uuid), options)),
      );
      return statuses.filter((status) => status !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async findDomain(name: string, options?: CallOptions): Promise<DomainStatus | undefined> {
      const domain = await session.findDomain(name, options);
      return domain === undefined ? undefined : await statusOf(session, domain, options);
    },

    async domainXml(
      name: string,
      query: { readonly inactive?: boolean; readonly migratable?: boolean } = {},
      options?: CallOptions,
    ): Promise<string> {
      const flags = (query.inactive === true ? XML_INACTIVE : 0) | (query.migratable === true ? XML_MIGRATABLE | XML_SECURE : 0);
      return (await session.onDomain(procedures.domainGetXml, name, (domain) => ({ domain, flags }), 'Reading the description of', options))
        .xml;
    },

    async defineDomain(xml: string, options?: CallOptions): Promise<DomainStatus> {
      const { domain } = await session.call(procedures.domainDefine, { xml, flags: 0 }, 'Defining a VM', options);
      const status = await statusOf(session, domain, options);
      if (status === undefined) throw domainMissing(domain.name);
      return status;
    },

    async startDomain(name: string, how: { readonly paused?: boolean } = {}, options?: CallOptions): Promise<void> {
      const flags = how.paused === true ? START_PAUSED : 0;
      await session.onDomain(procedures.domainCreate, name, (domain) => ({ domain, flags }), 'Starting', options);
    },

    async destroyDomain(name: string, options?: CallOptions): Promise<void> {
      const domain = await session.findDomain(name, options);
      if (domain === undefined) return;
      try {
        await session.call(procedures.domainDestroy, { domain, flags: 0 }, `Powering off VM ${name}`, options);
      } catch (error) {
        const code = libvirtCode(error);
        if (code === LIBVIRT_ERROR.noDomain) return;
        if (code === LIBVIRT_ERROR.operationInvalid && (await isOff(session, domain, options))) return;
        throw error;
      }
    },

    async shutdownDomain(name: string, how: AskGuest = {}, options?: CallOptions): Promise<void> {
      const flags = how.by === undefined ? 0 : ASK_BY[how.by];
      await session.onDomain(procedures.domainShutdown, name, (domain) => ({ domain, flags }), 'Shutting down', options);
    },

    async rebootDomain(name: string, how: AskGuest = {}, options?: CallOptions): Promise<void> {
      const flags = how.by === undefined ? 0 : ASK_BY[how.by];
      await session.onDomain(procedures.domainReboot, name, (domain) => ({ domain, flags }), 'Rebooting', options);
    },

    async resetDomain(name: string, options?: CallOptions): Promise<void> {
      await session.onDomain(procedures.domainReset, name, (domain) => ({ domain, flags: 0 }), 'Resetting', options);
    },

    async suspendDomain(name: string, options?: CallOptions): Promise<void> {
      await session.onDomain(procedures.domainSuspend, name, (domain) => ({ domain }), 'Suspending', {
        timeoutMs: SUSPEND_TIMEOUT_MS,
        ...options,
      });
    },

    async resumeDomain(name: string, options?: CallOptions): Promise<void> {
      await session.onDomain(procedures.domainResume, name, (domain) => ({ domain }), 'Resuming', {
        timeoutMs: SUSPEND_TIMEOUT_MS,
        ...options,
      });
    },

    async undefineDomain(name: string, options?: CallOptions): Promise<void> {
      const domain = await session.findDomain(name, options);
      if (domain === undefined) return;
      const basic = UNDEFINE_MANAGED_SAVE | UNDEFINE_SNAPSHOTS;
      const flags = session.target.driver === 'qemu' ? basic | UNDEFINE_CHECKPOINTS | UNDEFINE_NVRAM : basic;
      try {
        await session.call(procedures.domainUndefine, { domain, flags }, `Removing VM ${name}`, options);
      } catch (error) {
        if (libvirtCode(error) !== LIBVIRT_ERROR.noDomain) throw error;
      }
    },

    async renameDomain(name, newName, options) {
      await session.onDomain(procedures.domainRename, name, (domain) => ({ domain, name: newName, flags: 0 }), 'Renaming', options);
    },

    async domainInfo(name, options) {
      const info = await session.onDomain(procedures.domainGetInfo, name, (domain) => ({ domain }), 'Asking about', options);
      const { state, memory, maxMemory, vcpus, cpuTime } = info;
      return { state: runStateOf(state), memoryKiB: memory, maximumMemoryKiB: maxMemory, vcpus, cpuTimeNs: cpuTime };
    },

    async domainStatistics(options) {
      const args = { domains: [], statistics: STATISTICS, flags: STATISTICS_ACTIVE | STATISTICS_NOWAIT };
      const { records } = await session.call(procedures.connectGetAllDomainStats, args, 'Reading the statistics of all VMs', options);
      return records.map(({ domain, values }) => statisticsOf(domain, values)).sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async monitorCommand(name, command, options) {
      const args = (domain: DomainRef): { domain: DomainRef; command: string; flags: number } => ({ domain, command, flags: 0 });
      return (await session.onDomain(procedures.domainMonitorCommand, name, args, 'Asking the monitor of', options)).result;
    },
  };
}

/** undefined when the domain has gone since it was looked up. */
async function stateOf(
  session: LibvirtSession,
  domain: DomainRef,
  persistent: boolean,
  options: CallOptions | undefined,
): Promise<DomainStatus | undefined> {
  try {
    const { state, reason } = await session.call(
      procedures.domainGetState,
      { domain, flags: 0 },
      `Asking for the state of VM ${domain.name}`,
      options,
    );
    return { name: domain.name, uuid: domain.uuid, id: domain.id, state: runStateOf(state), reason, persistent };
  } catch (error) {
    if (libvirtCode(error) === LIBVIRT_ERROR.noDomain) return undefined;
    throw error;
  }
}

async function statusOf(session: LibvirtSession, domain: DomainRef, options: CallOptions | undefined): Promise<DomainStatus | undefined> {
  try {
    const [status, { persistent }] = await Promise.all([
      stateOf(session, domain, true, options),
      session.call(procedures.domainIsPersistent, { domain }, `Asking about VM ${domain.name}`, options),
    ]);
    return status === undefined ? undefined : { ...status, persistent: persistent === 1 };
  } catch (error) {
    if (libvirtCode(error) === LIBVIRT_ERROR.noDomain) return undefined;
    throw error;
  }
}

async function isOff(session: LibvirtSession, domain: DomainRef, options: CallOptions | undefined): Promise<boolean> {
  const status = await stateOf(session, domain, true, options);
  return status === undefined || status.state === 'shut off' || status.state === 'crashed';
}
