import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackagesState } from '../../../../src-shared/repos/packages-state.ts';
import { isMergeRecord } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../session.ts';
import { livingServers, servedState } from './notices.ts';

/** What the environment's state says of its packages; undefined while there is nothing to say. */
export async function packagesState(
  prefix: Pick<Prefix, 'paths'>,
  session: HostSession | undefined,
  signal = new AbortController().signal,
): Promise<PackagesState | undefined> {
  const { root } = prefix.paths;
  const records = (await readdir(root)).filter((name) => isMergeRecord(name));
  const times = await Promise.all(records.map(async (name) => (await stat(join(root, name))).mtimeMs));
  const served = session === undefined ? [] : await livingServers(session.host, prefix, signal);
  if (times.length === 0 && served.length === 0) return undefined;
  return { mergedAt: times.length === 0 ? null : Math.max(...times), served: served.map(servedState) };
}
