import { once } from 'node:events';
import { drop, type Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';
import type { Host } from '../host/host.ts';
import { domainName, type Prefix, vmAddress } from '../prefix/prefix.ts';
import type { Observation, VmNote } from '../runtime/state.ts';

const BANNER_MS = 1500;
const EVERY_MS = 700;

/** Tracks, for each running VM of an environment, whether its ssh has answered since its start. */
export interface SshWatch {
  /** Called with each new observation of the host; starts and ends watches. */
  update(prefix: Prefix, seen: Observation): void;
  /** Called when a guest reboots while its VM keeps running: earlier answers no longer count. */
  rebooted(domain: string): void;
  note(vm: string): VmNote | undefined;
  close(): void;
}

interface Watched {
  readonly domain: string;
  /** libvirt's id, which changes when a VM is started or reverted again. */
  readonly domainId: number;
  readonly abort: AbortController;
  ssh: 'waiting' | 'ready' | 'unknown';
  readonly startedAt: number | null;
}

export function createSshWatch(log: Log, onChange: () => void): SshWatch {
  const watched = new Map<string, Watched>();
  let first = true;

  async function waitForBanner(host: Host, address: string, entry: Watched): Promise<void> {
    const { signal } = entry.abort;
    while (!signal.aborted) {
      if (await answers(host, address, signal)) {
        if (signal.aborted) return;
        entry.ssh = 'ready';
        onChange();
        return;
      }
      await sleep(EVERY_MS);
    }
  }

  return {
    update(prefix, seen) {
      const wasFirst = first;
      first = false;
      const { session } = seen;
      for (const vm of prefix.specs.vms) {
        const domain = seen.domains.find((candidate) => candidate.name === domainName(prefix.uuid, vm.name));
        const known = watched.get(vm.name);
        const running = session !== undefined && domain !== undefined && domain.id >= 0;
        if (known !== undefined && (!running || known.domainId !== domain.id)) {
          known.abort.abort();
          watched.delete(vm.name);
        }
        if (!running || known?.domainId === domain.id) continue;
        const address = vmAddress(prefix.specs, vm);
        const entry: Watched = {
          domain: domain.name,
          domainId: domain.id,
          abort: new AbortController(),
          ssh: address === null ? 'unknown' : 'waiting',
          // A VM that was running at the first observation has an unknown start time.
          startedAt: wasFirst ? null : Date.now(),
        };
        watched.set(vm.name, entry);
        if (address === null) continue;
        drop(waitForBanner(session.host, address, entry), log, `Watching ssh of ${vm.name}`);
      }
    },
    rebooted(domain) {
      for (const [vm, entry] of watched) {
        if (entry.domain !== domain) continue;
        entry.abort.abort();
        // The next observation starts over, counting from then.
        watched.delete(vm);
      }
    },
    note: (vm) => watched.get(vm),
    close() {
      for (const entry of watched.values()) entry.abort.abort();
      watched.clear();
    },
  };
}

/** Whether an ssh server answers now. */
async function answers(host: Host, address: string, signal: AbortSignal): Promise<boolean> {
  try {
    const stream = await host.dial(address, 22, { timeoutMs: BANNER_MS, signal });
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(BANNER_MS)]);
      const [chunk] = (await once(stream, 'data', { signal: limit })) as [Buffer];
      return chunk.toString('latin1').startsWith('SSH-');
    } finally {
      stream.destroy();
    }
  } catch (error) {
    // Refused, unreachable, silent or aborted: not up.
    if (error instanceof Error) return false;
    throw error;
  }
}
