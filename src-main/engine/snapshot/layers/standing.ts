import type { SnapshotMeasured } from '../../../../src-shared/snapshot/timeline.ts';
import type { HostSession } from '../../runtime/session.ts';

/** How long VMs stand still, while somebody watches. */
export interface Standing extends Disposable {
  /** All of them stand now, and began to at the earliest at `from` (`performance.now()`): libvirt has no event of that for a VM that migrates. */
  allStand(from: number): void;
  /** QEMU has suspended the VM by itself. */
  stands(domain: string): void;
  /** The VM runs again, of which libvirt's event may come later. */
  goesOn(domain: string): void;
  /** So far; `nameOf` tells the VM of a domain. */
  measured(nameOf: (domain: string) => string): Pick<SnapshotMeasured, 'stillMs' | 'skewMs'>;
}

/** Measures by libvirt's events how long the VMs stand still, and how much time passes from the first that stands to the last. */
export function watchStanding({ hypervisor }: HostSession, domains: readonly string[]): Standing {
  const stopped = new Map<string, number>();
  let last = 0;
  const still = new Map<string, number>();
  const goesOn = (domain: string): void => {
    const since = stopped.get(domain);
    if (since !== undefined && !still.has(domain)) still.set(domain, performance.now() - since);
  };
  const stands = (domain: string): void => {
    if (!stopped.has(domain)) stopped.set(domain, performance.now());
  };
  const unsubscribe = hypervisor.onEvent((event) => {
    if (event.type !== 'domain' || !domains.includes(event.name)) return;
    if (event.event === 'suspended') stands(event.name);
    if (event.event === 'resumed') goesOn(event.name);
  });
  return {
    allStand(from) {
      const silent = domains.filter((domain) => !stopped.has(domain));
      for (const domain of silent) stopped.set(domain, from);
      // Nobody knows better which was the last.
      if (silent.length > 0) last = performance.now();
    },
    stands,
    goesOn,
    measured: (nameOf) => ({
      stillMs: Object.fromEntries([...still].map(([domain, ms]) => [nameOf(domain), Math.round(ms)])),
      skewMs: stopped.size < 2 ? 0 : Math.round(Math.max(last, ...stopped.values()) - Math.min(...stopped.values())),
    }),
    [Symbol.dispose]: unsubscribe,
  };
}
