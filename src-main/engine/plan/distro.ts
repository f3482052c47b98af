import type { VmSpec } from '../../../src-shared/specs.ts';

/** The guest's distribution: what the file says, else the first disk's metadata. */
export function distroOf(spec: Pick<VmSpec, 'distro' | 'disks'>): string | undefined {
  if (spec.distro !== undefined) return spec.distro;
  const found = spec.disks[0]?.metadata['distro'];
  return typeof found === 'string' ? found : undefined;
}
