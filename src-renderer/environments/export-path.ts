import type { PrefixState } from '../../src-shared/state.ts';

/** Proposes a folder outside the environment: beside its init file, else beside its workdir. */
export function proposedDestination(prefix: Pick<PrefixState, 'name' | 'path' | 'workdir' | 'initFile'>): string {
  return proposedFolder(prefix, `${prefix.name}-export`);
}

/** A folder of this name at the same place. */
export function proposedFolder(prefix: Pick<PrefixState, 'path' | 'workdir' | 'initFile'>, name: string): string {
  const beside = prefix.initFile ?? prefix.workdir ?? prefix.path;
  return `${beside.slice(0, beside.lastIndexOf('/'))}/${name}`;
}

/** What is wrong with a destination, one sentence; undefined when it is worth trying. */
export function destinationProblem(path: string, prefix: Pick<PrefixState, 'path'>): string | undefined {
  if (path.trim() === '') return 'Choose a destination';
  if (!path.startsWith('/')) return 'Enter an absolute path, beginning with /';
  if (`${path}/`.startsWith(`${prefix.path}/`)) return 'Choose a folder outside of the environment';
  return undefined;
}
