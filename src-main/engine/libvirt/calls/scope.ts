import type { ChangeScope } from '../hypervisor.ts';

/** virDomainModificationImpact and virNetworkUpdateFlags alike. */
export const LIVE = 1;
export const CONFIG = 2;

/** What a change applies to, as libvirt's flags. */
export function scopeFlags(scope: ChangeScope | undefined): number {
  return (scope?.live === true ? LIVE : 0) | (scope?.config === true ? CONFIG : 0);
}
