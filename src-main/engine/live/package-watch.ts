import { drop, type Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { livingServers } from '../runtime/packages/notices.ts';
import type { HostSession } from '../runtime/session.ts';

const EVERY_MS = 2000;

/**
 * Notices when a server of an environment's packages dies, which leaves its notice as it is. Each is asked every two seconds, while there is
 * one. That one begins, or ends as it should, is seen by its notice.
 */
export interface PackageWatch {
  /** Called with each new state of the environment: how many servers it names. */
  update(prefix: Prefix, session: HostSession | undefined, servers: number): void;
  close(): void;
}

export function createPackageWatch(log: Log, onChange: () => void, everyMs = EVERY_MS): PackageWatch {
  let known = 0;
  let watched: HostSession | undefined;
  let end: AbortController | undefined;

  async function look(prefix: Prefix, { host }: HostSession, signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(everyMs, signal).catch(() => undefined); // closed: the next line sees it
      if (signal.aborted) return;
      const living = await livingServers(host, prefix, signal);
      if (living.length === known) continue;
      // The state that this leads to is told to `update`, which looks on.
      known = living.length;
      onChange();
    }
  }

  async function lookUntilEnd(prefix: Prefix, session: HostSession, controller: AbortController): Promise<void> {
    try {
      await look(prefix, session, controller.signal);
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    } finally {
      if (end === controller) end = undefined;
    }
  }

  function close(): void {
    end?.abort();
    end = undefined;
  }

  return {
    update(prefix, session, servers) {
      known = servers;
      if (session === undefined || servers === 0 || session !== watched) close();
      watched = session;
      if (session === undefined || servers === 0 || end !== undefined) return;
      const controller = new AbortController();
      end = controller;
      drop(lookUntilEnd(prefix, session, controller), log, `Watching the package servers of ${prefix.name}`);
    },
    close,
  };
}
