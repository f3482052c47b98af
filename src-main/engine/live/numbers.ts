import { EngineError } from '../../../src-shared/errors.ts';
import type { LiveNumbers, VmNumbers } from '../../../src-shared/numbers.ts';
import { drop, type Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';
import type { DomainStatistics } from '../libvirt/hypervisor.ts';
import { domainName, type Prefix, readPrefix } from '../prefix/prefix.ts';
import type { HostAccess, HostSession } from '../runtime/session.ts';

const EVERY_MS = 1000;
/** While all VMs are quiet, only each third second is asked for: a window beside idle VMs stays idle as well. */
const QUIET_TIMES = 3;
/** Below these a VM is quiet: cores, and bytes a second. */
const QUIET = { cores: 0.1, bytes: 32 * 1024 } as const;
/** Errors of a host that does not respond; its numbers are unknown, and it is asked again. */
const AWAY: ReadonlySet<string> = new Set(['host.unusable', 'host.unavailable', 'hypervisor.disconnected', 'hypervisor.failed']);

/** Counters of all VMs of an environment at one moment. */
export interface NumbersSample {
  /** Milliseconds of a clock that only goes forward. */
  readonly at: number;
  readonly vms: ReadonlyMap<string, DomainStatistics>;
}

export interface Numbers {
  /**
   * What the VMs of an environment use, about once a second until abort; every three seconds while all are quiet. Libvirt is asked by one
   * call each time for an environment that somebody looks at, and not at all for others.
   */
  watch(path: string, signal: AbortSignal): AsyncIterableIterator<LiveNumbers>;
  /** Environments that are looked at. */
  readonly watched: number;
}

/** What was used between two samples. A VM that was not in both is left out; a counter that began again counts as 0. */
export function numbersBetween(before: NumbersSample, after: NumbersSample): LiveNumbers {
  const seconds = Math.max((after.at - before.at) / 1000, 0.001);
  const rate = (earlier: number, later: number): number => Math.max(0, later - earlier) / seconds;
  const vms = [...after.vms].flatMap(([name, now]): VmNumbers[] => {
    const then = before.vms.get(name);
    if (then === undefined) return [];
    const disk = (key: 'readBytes' | 'writtenBytes'): number => rate(sum(then.disks, key), sum(now.disks, key));
    const nic = (key: 'receivedBytes' | 'sentBytes'): number => rate(sum(then.nics, key), sum(now.nics, key));
    return [
      {
        name,
        cores: rate(then.cpuTimeNs, now.cpuTimeNs) / 1e9,
        memory: bytesOf(now.memoryKiB.resident),
        guestMemory: usedInGuest(now.memoryKiB),
        balloon: bytesOf(now.memoryKiB.current),
        diskRead: disk('readBytes'),
        diskWritten: disk('writtenBytes'),
        received: nic('receivedBytes'),
        sent: nic('sentBytes'),
      },
    ];
  });
  return { vms: vms.sort((one, other) => (one.name < other.name ? -1 : 1)) };
}

/** Whether a VM does so little that its numbers hardly change. */
export function isQuiet({ cores, diskRead, diskWritten, received, sent }: VmNumbers): boolean {
  return cores < QUIET.cores && diskRead + diskWritten + received + sent < QUIET.bytes;
}

function usedInGuest({ available, usable }: DomainStatistics['memoryKiB']): number | null {
  return available === undefined || usable === undefined ? null : Math.max(0, available - usable) * 1024;
}

function bytesOf(kibibytes: number | undefined): number | null {
  return kibibytes === undefined ? null : kibibytes * 1024;
}

function sum<Key extends string>(items: readonly { readonly [K in Key]: number }[], key: Key): number {
  return items.reduce((total, item) => total + item[key], 0);
}

interface Place {
  readonly prefix: Prefix;
  readonly session: HostSession | undefined;
}

interface Poller {
  readonly readers: Set<(numbers: LiveNumbers | undefined) => void>;
  readonly end: AbortController;
}

export function createNumbers(options: { readonly hosts: HostAccess; readonly log: Log; readonly everyMs?: number }): Numbers {
  const { hosts, log, everyMs = EVERY_MS } = options;
  const pollers = new Map<string, Poller>();

  async function find(path: string, signal: AbortSignal): Promise<Place> {
    const prefix = await readPrefix(path);
    return { prefix, session: await hosts.find(prefix, signal) };
  }

  async function sample({ prefix, session }: Place, signal: AbortSignal): Promise<NumbersSample> {
    const statistics = session === undefined ? [] : await session.hypervisor.domainStatistics({ signal });
    const byDomain = new Map(statistics.map((one) => [one.name, one]));
    const vms = new Map<string, DomainStatistics>();
    for (const { name } of prefix.specs.vms) {
      const found = byDomain.get(domainName(prefix.uuid, name));
      if (found !== undefined) vms.set(name, found);
    }
    return { at: performance.now(), vms };
  }

  async function poll(path: string, { readers, end: { signal } }: Poller): Promise<void> {
    let before: NumbersSample | undefined;
    let quiet = false;
    // Found once: to look for the host costs more than to ask it. One that is gone fails, and one that is not up is looked for again.
    let place: Place | undefined;
    try {
      while (!signal.aborted) {
        try {
          if (place?.session === undefined) place = await find(path, signal);
          const after = await sample(place, signal);
          if (before !== undefined) {
            const numbers = numbersBetween(before, after);
            quiet = numbers.vms.every(isQuiet);
            for (const read of readers) read(numbers);
          }
          before = after;
        } catch (error) {
          if (!(error instanceof EngineError) || !AWAY.has(error.code)) throw error;
          before = place = undefined;
          for (const read of readers) read({ vms: [] });
        }
        await sleep(quiet ? QUIET_TIMES * everyMs : everyMs, signal);
      }
    } finally {
      for (const read of readers) read(undefined);
    }
  }

  function begin(path: string): Poller {
    const poller: Poller = { readers: new Set(), end: new AbortController() };
    pollers.set(path, poller);
    drop(poll(path, poller), log, `Reading the numbers of ${path}`);
    return poller;
  }

  async function* watch(path: string, signal: AbortSignal): AsyncIterableIterator<LiveNumbers> {
    const poller = pollers.get(path) ?? begin(path);
    let next: LiveNumbers | undefined;
    let over = false;
    let wake = (): void => undefined;
    const read = (numbers: LiveNumbers | undefined): void => {
      next = numbers;
      over ||= numbers === undefined;
      wake();
    };
    const onAbort = (): void => wake();
    poller.readers.add(read);
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted && !over) {
        if (next === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        } else {
          const numbers = next;
          next = undefined;
          yield numbers;
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      poller.readers.delete(read);
      if (poller.readers.size === 0) {
        poller.end.abort();
        if (pollers.get(path) === poller) pollers.delete(path);
      }
    }
  }

  return {
    watch,
    get watched() {
      return pollers.size;
    },
  };
}
