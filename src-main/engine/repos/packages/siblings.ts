import { link, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskError } from '../../core/files/disk-error.ts';
import { factsOf, isUnchanged } from '../store/folder-files.ts';
import type { KnownPackage, WantedPackage } from '../store/record.ts';

/** Packages of other folders of the store, which need not be fetched again. */
export interface Siblings {
  /** Links the same package to `target`; false when there is none. */
  link(wanted: WantedPackage, target: string): Promise<boolean>;
}

/** Packages by their checksums in the folders of records. */
export function siblingsOf(records: readonly { readonly folder: string; readonly packages: readonly KnownPackage[] }[]): Siblings {
  const places = new Map(
    records.flatMap(({ folder, packages }) => packages.map((one) => [one.hex, { ...one, path: join(folder, one.path) }])),
  );
  return {
    async link(wanted, target) {
      const place = places.get(wanted.hex);
      if (place === undefined || !isUnchanged(place, factsOf(place.path))) return false;
      try {
        await mkdir(dirname(target), { recursive: true });
        await rm(target, { force: true });
        await link(place.path, target);
        return true;
      } catch (error) {
        if (['ENOENT', 'EXDEV', 'EMLINK', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
        throw diskError(error, target);
      }
    },
  };
}
