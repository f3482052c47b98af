import type { SnapshotMeasured } from '../../../../src-shared/timeline.ts';
import type { HostSession } from '../../runtime/session.ts';

/** How long VMs stand still, while somebody watches. */
export interface Standing extends Disposable {
  /** So far; `nameOf` tells the VM of a domain. */
  measured(nameOf: (domain: string) => string): Pick<SnapshotMeasured, 'stillMs' | 'skewMs'>;
}

/** Measures by libvirt's events how long the VMs stand still, and how much time passes from the first that stands to the last. */
export function watchStanding({ hypervisor }: HostSession, domains: readonly string[]): Standing {
  const stopped = new Map<string, number>();
  const still = new Map<string, number>();
  const unsubscribe = hypervisor.onEvent((event) => {
    if (event.type !== 'domain' || !domains.includes(event.name)) return;
    if (event.event === 'suspended' && !stopped.has(event.name)) stopped.set(event.name, performance.now());
    const since = stopped.get(event.name);
    if (event.event === 'resumed' && since !== undefined) still.set(event.name, performance.now() - since);
  });
  return {
    measured: (nameOf) => ({
      stillMs: Object.fromEntries([...still].map(([domain, ms]) => [nameOf(domain), Math.round(ms)])),
      skewMs: stopped.size < 2 ? 0 : Math.round(Math.max(...stopped.values()) - Math.min(...stopped.values())),
    }),
    [Symbol.dispose]: unsubscribe,
  };
}
