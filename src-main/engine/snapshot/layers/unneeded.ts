/** Which layers of an environment's disks are not needed any more, and what has to be done to be rid of them. Pure. */

/** A file of an environment's disks. */
export interface LayerFile {
  readonly path: string;
  /** The file directly below it, absolute. */
  readonly below: string | undefined;
  /** Whether another environment has a link to the same file: its content must stay as it is. */
  readonly shared: boolean;
  /** Whether it is not a layer of ours, but on one: another program has put it there. It stays. */
  readonly foreign?: boolean;
}

/** Who uses the top of a disk, or a file below it. */
export interface LayerUse {
  /** Files that a VM's definition or a snapshot names. */
  readonly named: ReadonlySet<string>;
  /** Files that QEMU of a running VM writes to: the tops of its disks. */
  readonly running: ReadonlySet<string>;
}

/**
 * `delete`: nothing is on it. `absorb`: the one layer on it takes it in and lies on what is below it from then on; `how` says by whom:
 * `offline` by qemu-img, `pull` by the QEMU that writes to that layer. `commit`: QEMU has that layer open below another one and cannot
 * write to it; so the layer is written into the file below instead, and what names the layer has to name that file.
 *
 * The layer that a VM writes to takes in the file below even where that is larger. Writing it into that file (an active commit) would end with
 * QEMU on the file below while the definition still names the layer: a VM that ended at that moment would start from what is out of date.
 */
export type LayerStep =
  | { readonly kind: 'delete'; readonly path: string }
  | { readonly kind: 'absorb'; readonly path: string; readonly into: string; readonly how: 'offline' | 'pull' }
  | { readonly kind: 'commit'; readonly path: string; readonly from: string; readonly running: string };

/** QEMU can do with hundreds of files below each other; opening so many takes a while. */
const LONG_CHAIN = 16;

/**
 * The steps to take next, which are independent of each other: at most one merge for each disk; none when only what is needed is left. A file
 * that several layers are on has to stay, and so has one that another environment uses too, unless that makes the disk's chain long.
 */
export function nextLayerSteps(files: readonly LayerFile[], use: LayerUse): readonly LayerStep[] {
  const above = new Map<string, LayerFile[]>();
  for (const file of files) if (file.below !== undefined) above.set(file.below, [...(above.get(file.below) ?? []), file]);
  const known = new Map(files.map((file) => [file.path, file]));
  const unneeded = files.filter(({ path, foreign }) => !use.named.has(path) && !use.running.has(path) && foreign !== true);
  // Before anything is merged: a layer would take in what is then deleted with it.
  const free = unneeded.filter(({ path }) => !above.has(path));
  if (free.length > 0) return free.map(({ path }) => ({ kind: 'delete', path }));
  const merges = new Map<string, LayerStep>();
  for (const file of unneeded) {
    const disk = lowestOf(file.path, known);
    const merge = merges.has(disk) ? undefined : mergeOf(file, above.get(file.path) ?? [], known, use);
    if (merge !== undefined) merges.set(disk, merge);
  }
  return [...merges.values()];
}

/** How a file that is not needed is merged with the one layer on it. */
function mergeOf(
  { path, shared }: LayerFile,
  [layer, ...more]: readonly LayerFile[],
  known: ReadonlyMap<string, LayerFile>,
  use: LayerUse,
): LayerStep | undefined {
  if (layer === undefined || more.length > 0) return undefined;
  // Merging it would give nothing back, and take as much again.
  if (shared && filesFrom(path, known).length <= LONG_CHAIN) return undefined;
  if (use.running.has(layer.path)) return { kind: 'absorb', path, into: layer.path, how: 'pull' };
  const running = [...use.running].find((top) => filesFrom(top, known).some((file) => file.path === layer.path));
  if (running !== undefined) return shared ? undefined : { kind: 'commit', path, from: layer.path, running };
  // Taking it in changes the layer: where another environment has a link to that, it would change there too.
  return layer.shared ? undefined : { kind: 'absorb', path, into: layer.path, how: 'offline' };
}

/** A file and those below it, from the top. */
function filesFrom(path: string, known: ReadonlyMap<string, LayerFile>): readonly LayerFile[] {
  const files: LayerFile[] = [];
  for (let file = known.get(path); file !== undefined; file = file.below === undefined ? undefined : known.get(file.below))
    files.push(file);
  return files;
}

/** The lowest of our own files of a disk; many disks may be on the same template. */
function lowestOf(path: string, known: ReadonlyMap<string, LayerFile>): string {
  return filesFrom(path, known).findLast(({ foreign }) => foreign !== true)?.path ?? path;
}
