import { once } from 'node:events';
import { drop, type Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';
import type { Host } from '../host/host.ts';
import { domainName, type Prefix, vmAddress } from '../prefix/prefix.ts';
import type { Observation, VmNote } from '../runtime/state.ts';

const BANNER_MS = 1500;
const EVERY_MS = 700;

/** Follows, for each running VM of an environment, whether its ssh answers since it was started. */
export interface SshWatch {
  /** Called with each new look at the host; begins and ends watches. */
  update(prefix: Prefix, seen: Observation): void;
  /** Called when a guest began to boot again while its VM ran on: what answered before says nothing about now. */
  rebooted(domain: string): void;
  note(vm: string): VmNote | undefined;
  close(): void;
}

interface Watched {
  readonly domain: string;
  /** libvirt's id: a VM that was started or reverted again has another. */
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
          // What ran before we looked for the first time began at an unknown moment.
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
        // The next look begins anew, from then on.
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

/** Whether something that speaks ssh is there now. */
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
    // Refused, unreachable, silent, or nobody wants to know any more: not up, which is what is being asked.
    if (error instanceof Error) return false;
    throw error;
  }
}
