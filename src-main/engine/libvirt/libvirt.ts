import { deviceCalls } from './calls/devices.ts';
import { diskCalls } from './calls/disks.ts';
import { domainCalls } from './calls/domains.ts';
import { guestCalls } from './calls/guest.ts';
import { hostCalls } from './calls/host.ts';
import { networkCalls } from './calls/networks.ts';
import { savedStateCalls } from './calls/saved-state.ts';
import { LibvirtSession } from './calls/session.ts';
import { snapshotCalls } from './calls/snapshots.ts';
import type { ConnectHypervisor } from './hypervisor.ts';
import { parseLibvirtUri } from './rpc/uri.ts';

/**
 * Connects to a libvirt daemon. Rejects with `input.invalid` (unsupported URI), `host.denied` (socket or polkit; with a hint),
 * `host.unavailable` (no daemon), `hypervisor.failed` or `cancelled`. When the connection is lost later, it is opened again as soon as the
 * daemon answers.
 */
export const connectHypervisor: ConnectHypervisor = async (uri, { questions, ...options } = {}) => {
  const target = parseLibvirtUri(uri);
  const ssh = target.ssh === undefined || questions === undefined ? target.ssh : { ...target.ssh, questions };
  const session = await LibvirtSession.open({ ...target, ssh }, options);
  const close = async (): Promise<void> => {
    session.close();
    await Promise.resolve();
  };
  return {
    uri: session.target.uri,
    ...hostCalls(session),
    ...domainCalls(session),
    ...guestCalls(session),
    ...deviceCalls(session),
    ...diskCalls(session),
    ...savedStateCalls(session),
    ...networkCalls(session),
    ...snapshotCalls(session),
    onEvent: (listener) => session.onEvent(listener),
    close,
    [Symbol.asyncDispose]: close,
  };
};
