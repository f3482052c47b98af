import { drop, type Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';
import { networkName } from '../libvirt/xml/network-xml.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { serverIsGone } from '../runtime/observed/network-server.ts';
import type { Observation } from '../runtime/observed/state.ts';

const EVERY_MS = 2000;

/**
 * Notices when the DHCP and DNS server of one of an environment's networks dies or is back. Neither libvirt nor the kernel tells a process
 * that is not its parent: a few files of /proc are read every two seconds, while a network is up.
 */
export interface ServerWatch {
  /** Called with each new observation of the host. */
  update(prefix: Prefix, seen: Observation): void;
  close(): void;
}

export function createServerWatch(log: Log, onChange: () => void, everyMs = EVERY_MS): ServerWatch {
  let gone: () => string = () => '';
  let known = '';
  let end: AbortController | undefined;

  async function look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(everyMs, signal).catch(() => undefined); // closed: the loop sees it
      if (signal.aborted || gone() === known) continue;
      known = gone();
      onChange();
    }
  }

  function close(): void {
    end?.abort();
    end = undefined;
  }

  return {
    update(prefix, { session, networks }) {
      const up = new Set(networks.filter(({ active }) => active).map(({ name }) => name));
      const watched = prefix.specs.nets.filter((net) => up.has(networkName(prefix.uuid, net.name)));
      if (session === undefined || session.host.daemonLives === undefined || watched.length === 0) {
        close();
        return;
      }
      gone = () =>
        watched
          .filter((net) => serverIsGone(session, prefix.uuid, net))
          .map(({ name }) => name)
          .join(' ');
      known = gone();
      if (end !== undefined) return;
      end = new AbortController();
      drop(look(end.signal), log, `Watching the DHCP servers of ${prefix.name}`);
    },
    close,
  };
}
