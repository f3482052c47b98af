import { posix } from 'node:path';
import type { DebSection } from '../definition/section.ts';
import { createMirrors, type Mirrors } from '../fetch/mirrors.ts';

/** Where the files of an archive are. */
export interface Archive {
  readonly mirrors: Mirrors;
  /** Folder of the Release file below its address; empty, or it ends in a slash. */
  readonly folder: string;
}

export function archiveOf({ uri, suite }: Pick<DebSection, 'uri' | 'suite'>): Archive {
  const folder = posix.normalize(suite.endsWith('/') ? suite : `dists/${suite}/`);
  return { mirrors: createMirrors([uri]), folder: folder === './' ? '' : folder };
}

/** The address of a file below the archive's. Its path is taken as it is: `a_1%3a2.deb` is the name of a file. */
export function archiveUrl(mirror: string, path: string): URL {
  return new URL(path.split('/').map(encodeURIComponent).join('/'), mirror);
}
