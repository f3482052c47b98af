import { type DebPackage, type DebRelation, relationsOf } from './package.ts';
import { compareVersions, satisfies } from './version.ts';

export interface DebChoice {
  /** Names; with none all packages are wanted. */
  readonly packages: readonly string[];
  /** Whether a package of this name is left out, also when another one needs it. */
  readonly excluded: (name: string) => boolean;
}

export interface ChosenPackages {
  readonly packages: readonly DebPackage[];
  /** Names that were asked for and that the archive does not have. */
  readonly missing: readonly string[];
  /** What chosen packages need and the archive does not have; another source may. */
  readonly unmet: readonly string[];
}

/** Of each package the newest that is not left out: all of them, or the named ones and whatever these depend on. */
export function chooseDebPackages(all: readonly DebPackage[], { packages, excluded }: DebChoice): ChosenPackages {
  const newest = newestOf(all, excluded);
  if (packages.length === 0) return { packages: [...newest.values()].flat(), missing: [], unmet: [] };
  const archive = new Archive(newest);
  const chosen = new Set<DebPackage>();
  const unmet = new Set<string>();
  const missing = packages.filter((name) => archive.named(name).length === 0);
  const queue = packages.flatMap((name) => archive.named(name));
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    if (chosen.has(one)) continue;
    chosen.add(one);
    for (const alternatives of relationsOf(one.depends)) {
      const found = archive.firstOf(alternatives, one.arch, chosen);
      if (found === undefined) unmet.add(alternatives.map(shown).join(' | '));
      else queue.push(found);
    }
  }
  return { packages: all.filter((one) => chosen.has(one)), missing, unmet: [...unmet].toSorted() };
}

/** By name: of each architecture the newest. An archive has tens of thousands, so nothing is made of each that need not be. */
function newestOf(all: readonly DebPackage[], excluded: (name: string) => boolean): ReadonlyMap<string, readonly DebPackage[]> {
  const newest = new Map<string, DebPackage[]>();
  for (const one of all) {
    if (excluded(one.name)) continue;
    const known = newest.get(one.name) ?? [];
    const at = known.findIndex(({ arch }) => arch === one.arch);
    const before = known[at];
    if (before === undefined) append(newest, one.name, one);
    else if (compareVersions(before.version, one.version) < 0) known[at] = one;
  }
  return newest;
}

/** Finds packages by what they are called and by what they provide. */
class Archive {
  readonly #named: ReadonlyMap<string, readonly DebPackage[]>;
  readonly #providing = new Map<string, { readonly package: DebPackage; readonly version: string | undefined }[]>();

  constructor(packages: ReadonlyMap<string, readonly DebPackage[]>) {
    this.#named = packages;
    for (const one of [...packages.values()].flat()) {
      for (const { name, version } of relationsOf(one.provides).flat()) append(this.#providing, name, { package: one, version });
    }
  }

  /** Of all architectures. */
  named(name: string): readonly DebPackage[] {
    return this.#named.get(name) ?? [];
  }

  /** The first alternative that the archive has, as apt takes it; one that is chosen already is taken before that. */
  firstOf(alternatives: readonly DebRelation[], arch: string, chosen: ReadonlySet<DebPackage>): DebPackage | undefined {
    const fitting = alternatives.flatMap((wanted) => this.#fitting(wanted, arch));
    return fitting.find((one) => chosen.has(one)) ?? fitting[0];
  }

  #fitting({ name, relation, version }: DebRelation, arch: string): readonly DebPackage[] {
    const runs = (one: DebPackage): boolean => arch === 'all' || one.arch === 'all' || one.arch === arch;
    const real = this.named(name).filter((one) => runs(one) && satisfies(one.version, relation, version));
    // A provided name without a version satisfies no dependency with one.
    const provided = (this.#providing.get(name) ?? []).filter(
      (one) => runs(one.package) && (relation === undefined || (one.version !== undefined && satisfies(one.version, relation, version))),
    );
    return [...real, ...provided.map((one) => one.package)];
  }
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}

function shown({ name, relation, version }: DebRelation): string {
  return relation === undefined ? name : `${name} (${relation} ${version ?? ''})`;
}
