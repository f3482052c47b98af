import { existsSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGED = '/usr/share/lago-desktop/resources';

/**
 * The folder with samples, host scripts and default repository, for a bundle in the folder `here`: beside the checkout's `out`, or where
 * packages install it.
 */
export function findResources(here: string): string {
  const candidates = [join(here, '..', '..', 'resources'), join(here, '..', 'resources'), PACKAGED];
  return candidates.find((path) => existsSync(path)) ?? PACKAGED;
}
