import { EngineError } from '../../../../src-shared/errors.ts';
import type { BlockJobKind, CallOptions, HypervisorEvent } from '../hypervisor.ts';
import type { RpcConnection } from '../rpc/connection.ts';
import { dialLibvirt } from '../rpc/dial.ts';
import { LIBVIRT_ERROR, notices, procedures } from '../rpc/protocol.ts';
import type { LibvirtTarget } from '../rpc/uri.ts';
import { blockJobKindOf, blockJobStatusOf, domainEventOf, jobOf, networkEventOf } from '../rpc/values.ts';
import { libvirtCode } from './errors.ts';

/** A stopped daemon is detected after 4 to 6 s. */
const KEEPALIVE = { everyMs: 1000, missed: 4 };

/** virDomainEventID of the events that are asked for. */
const DOMAIN_EVENTS = { lifecycle: 0, reboot: 1, deviceRemoved: 15, blockJob: 16, agentLifecycle: 18, jobCompleted: 21 } as const;
const NETWORK_LIFECYCLE = 0;
const AGENT_CONNECTED = 1;

/**
 * Two connections to one daemon. Slow calls queue on one of them, four at a time; everything else and the events use the other, so that a
 * start does not delay a state query. The keepalive watches the latter.
 */
export interface Link {
  readonly fast: RpcConnection;
  /** The same as `fast` where each connection has a state of its own. */
  readonly slow: RpcConnection;
  /** Closes both; all their calls are rejected before this returns. */
  close(reason: string): void;
}

/** Opens both connections and asks for events, which go to `emit`; `onLost` is called once, when either connection is gone. */
export async function openLink(
  target: LibvirtTarget,
  listeners: { readonly emit: (event: HypervisorEvent) => void; readonly onLost: (reason: string) => void },
  options: CallOptions,
): Promise<Link> {
  const fast = await dialLibvirt(target, { keepalive: KEEPALIVE }, options);
  let slow: RpcConnection | undefined;
  try {
    slow = target.privateState ? fast : await dialBeside(fast, target, options);
    listen(fast, listeners.emit);
    await register(fast, options);
    const link: Link = {
      fast,
      slow,
      close(reason) {
        fast.close(reason);
        link.slow.close(reason);
      },
    };
    fast.onNotice(notices.connectionClosed, () => link.close('libvirt lost its connection to the hypervisor'));
    fast.onClose(listeners.onLost);
    if (slow !== fast) slow.onClose(listeners.onLost);
    return link;
  } catch (error) {
    fast.close();
    slow?.close();
    throw error;
  }
}

/** A second connection, given up when the first one is lost: only that one notices a daemon that does not respond. */
async function dialBeside(first: RpcConnection, target: LibvirtTarget, options: CallOptions): Promise<RpcConnection> {
  const lost = new AbortController();
  first.onClose(() => lost.abort());
  const signal = options.signal === undefined ? lost.signal : AbortSignal.any([options.signal, lost.signal]);
  try {
    return await dialLibvirt(target, {}, { ...options, signal });
  } catch (error) {
    if (first.closed === undefined || options.signal?.aborted === true) throw error;
    throw new EngineError('hypervisor.disconnected', `Connecting to libvirt failed: ${first.closed}.`, { cause: error });
  }
}

function listen(connection: RpcConnection, emit: (event: HypervisorEvent) => void): void {
  connection.onNotice(notices.domainLifecycle, ({ domain: { name, uuid }, event, detail }) => {
    const known = domainEventOf(event);
    if (known !== undefined) emit({ type: 'domain', name, uuid, event: known, detail });
  });
  connection.onNotice(notices.domainReboot, ({ domain: { name, uuid } }) => {
    emit({ type: 'domain', name, uuid, event: 'rebooted', detail: 0 });
  });
  connection.onNotice(notices.networkLifecycle, ({ network: { name, uuid }, event }) => {
    const known = networkEventOf(event);
    if (known !== undefined) emit({ type: 'network', name, uuid, event: known });
  });
  connection.onNotice(notices.agentLifecycle, ({ domain: { name, uuid }, state }) => {
    emit({ type: 'agent', name, uuid, connected: state === AGENT_CONNECTED });
  });
  connection.onNotice(notices.deviceRemoved, ({ domain: { name, uuid }, alias }) => {
    emit({ type: 'device removed', name, uuid, alias });
  });
  connection.onNotice(notices.blockJob, ({ domain: { name, uuid }, disk, kind, status }) => {
    const known = blockJobStatusOf(status);
    const job: BlockJobKind = blockJobKindOf(kind);
    if (known !== undefined) emit({ type: 'block job', name, uuid, disk, kind: job, status: known });
  });
  connection.onNotice(notices.jobCompleted, ({ domain: { name, uuid }, values }) => {
    emit({ type: 'job completed', name, uuid, job: jobOf(values) });
  });
}

/** A daemon without networks is not an error. */
async function register(connection: RpcConnection, options: CallOptions): Promise<void> {
  const doing = 'Asking libvirt for events';
  const network = async (): Promise<void> => {
    try {
      await connection.call(procedures.connectNetworkEventRegister, { event: NETWORK_LIFECYCLE, network: undefined }, doing, options);
    } catch (error) {
      if (libvirtCode(error) !== LIBVIRT_ERROR.noSupport) throw error;
    }
  };
  await Promise.all([
    ...Object.values(DOMAIN_EVENTS).map(
      async (event) => await connection.call(procedures.connectDomainEventRegister, { event, domain: undefined }, doing, options),
    ),
    network(),
  ]);
}
