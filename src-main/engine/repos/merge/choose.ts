import { compareVersions } from '../deb/version.ts';
import { compareEvr } from '../rpm/version.ts';
import { builtFor, distrosOf } from './distro.ts';
import { debVersion, fullName, type PackageFile } from './package-file.ts';
import type { MergeSource } from './source.ts';

/** The packages of a source, in the order of sources. */
export interface SourcePackages {
  readonly source: MergeSource;
  readonly packages: readonly PackageFile[];
}

/** Two files that call themselves the same package, but differ. */
export interface MergeConflict {
  readonly name: string;
  readonly kept: string;
  readonly leftOut: string;
}

export interface Choice {
  /** Distribution → its packages, sorted by name. */
  readonly chosen: ReadonlyMap<string, readonly PackageFile[]>;
  readonly conflicts: readonly MergeConflict[];
  /** How many were left out because another source has a newer one, or one that wins. */
  readonly older: number;
  /** How many because of `only-missing`. */
  readonly known: number;
  /** The distributions that packages were built for, of which none is wanted → how many. */
  readonly foreign: ReadonlyMap<string, number>;
}

interface Candidate {
  readonly file: PackageFile;
  readonly pinned: boolean;
}

/**
 * Chooses one version of each package, within each stream of a module, for each of the distributions: of a pinned source before all others, then the newest, then that of the
 * first source. Of files with the same name and version the first is taken; `isSame` tells whether another one is a copy of it.
 */
export async function choosePackages(
  sources: readonly SourcePackages[],
  distros: readonly string[],
  isSame: (one: PackageFile, other: PackageFile) => Promise<boolean>,
): Promise<Choice> {
  const best = new Map(distros.map((distro) => [distro, new Map<string, Candidate>()]));
  const conflicts = new Map<string, MergeConflict>();
  const foreign = new Map<string, number>();
  const losers = new Set<string>();
  let known = 0;
  const namesBefore = new Set<string>();
  for (const { source, packages } of sources) {
    const names = packages.map(({ kind, name }) => `${kind} ${name}`);
    for (const [at, file] of packages.entries()) {
      if (source.onlyMissing && namesBefore.has(names[at] ?? '')) {
        known++;
        continue;
      }
      const wanted = distrosOf(file, distros);
      if (wanted.length === 0) {
        const tag = builtFor(file) ?? file.kind;
        foreign.set(tag, (foreign.get(tag) ?? 0) + 1);
      }
      for (const distro of wanted) {
        const others = best.get(distro);
        const key = `${file.kind} ${file.name} ${file.arch} ${file.stream ?? ''}`;
        const other = others?.get(key);
        const order = other === undefined ? 1 : orderOf({ file, pinned: source.pinned }, other);
        if (order > 0) others?.set(key, { file, pinned: source.pinned });
        if (other === undefined) continue;
        if (order !== 0) losers.add(order > 0 ? other.file.path : file.path);
        else if (!(await isSame(other.file, file))) {
          conflicts.set(file.path, { name: fullName(file), kept: other.file.path, leftOut: file.path });
        }
      }
    }
    for (const name of names) namesBefore.add(name);
  }
  const chosen = new Map([...best].map(([distro, candidates]) => [distro, sorted([...candidates.values()].map(({ file }) => file))]));
  const used = new Set([...chosen.values()].flat().map(({ path }) => path));
  return { chosen, conflicts: [...conflicts.values()], older: [...losers].filter((path) => !used.has(path)).length, known, foreign };
}

/** More than 0 when `one` wins. */
function orderOf(one: Candidate, other: Candidate): number {
  if (one.pinned !== other.pinned) return one.pinned ? 1 : -1;
  if (one.file.kind === 'rpm') return compareEvr(one.file.version, other.file.version);
  return compareVersions(debVersion(one.file), debVersion(other.file));
}

function sorted(files: readonly PackageFile[]): readonly PackageFile[] {
  return [...files].sort((a, b) => (fullName(a) < fullName(b) ? -1 : 1));
}
