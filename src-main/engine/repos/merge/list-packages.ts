import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { diskError } from '../../core/files/json-file.ts';

/** A package as its file's name and size tell of it. */
export interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  readonly size: number;
}

/** `vdsm-4.20.1-1.el7.x86_64.rpm` */
const RPM = /^(.+)-([^-]+-[^-]+)\.([^.]+)\.rpm$/;
/** `vdsm_4.20.1-1_amd64.deb` */
const DEB = /^([^_]+)_([^_]+)_([^_]+)\.deb$/;

/** The packages in a repository, sorted by name: for one of which nothing else is known. */
export async function listPackages(folder: string): Promise<readonly ListedPackage[]> {
  const paths = await readdir(folder, { recursive: true }).catch((error: unknown) => {
    throw diskError(error, folder);
  });
  const found = await Promise.all(
    paths.sort().map(async (path) => {
      const [, name, version, arch] = RPM.exec(basename(path)) ?? DEB.exec(basename(path)) ?? [];
      if (name === undefined || version === undefined || arch === undefined) return [];
      // A merge may have replaced the repository meanwhile.
      const size = (await stat(join(folder, path)).catch(() => undefined))?.size;
      return size === undefined ? [] : [{ name, version: version.replace('%3a', ':'), arch, size }];
    }),
  );
  return found.flat();
}
