import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Prefix } from '../../prefix/prefix.ts';

/** The hidden name under which an export of this environment writes a folder, beside its place. */
export function buildFolder(prefix: Prefix, folder: string): string {
  return join(dirname(folder), `.${basename(folder)}${mark(prefix)}`);
}

/** Removes what an interrupted export left. Only a folder that an export of this environment began is touched. */
export async function removeUnfinishedExport(prefix: Prefix, build: string): Promise<void> {
  if (basename(build).endsWith(mark(prefix))) await rm(build, { recursive: true, force: true });
}

function mark({ uuid }: Prefix): string {
  return `.lago-snapshot-${uuid}`;
}
