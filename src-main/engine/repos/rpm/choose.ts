import type { ModuleVersion } from './modules.ts';
import { nevraOf, type RpmPackage } from './package.ts';
import { packagesOf } from './package-patterns.ts';
import { compareEvr } from './version.ts';

export interface Choice {
  readonly excludes: readonly string[];
  /** When not empty, nothing but these. */
  readonly includes: readonly string[];
  readonly modules: readonly ModuleVersion[];
  /** The repository's packages count as outside of modules (`module_hotfixes`). */
  readonly moduleHotfixes: boolean;
}

/**
 * Which packages of a repository are kept, as `dnf reposync --newest-only` chooses them: no source packages, no excluded ones, of each name
 * and architecture the newest. Packages of modules are chosen by stream: those of its newest version, and those of the version that has the
 * newest package, so that every stream can be installed.
 */
export function choosePackages(all: readonly RpmPackage[], choice: Choice): readonly RpmPackage[] {
  const candidates = filtered(
    all.filter(({ arch }) => arch !== 'src' && arch !== 'nosrc'),
    choice,
  );
  const modules = choice.moduleHotfixes ? [] : choice.modules;
  if (modules.length === 0) return newest(candidates);
  const modular = new Set(modules.flatMap(({ artifacts }) => artifacts));
  const byNevra = new Map<string, RpmPackage[]>();
  const plain: RpmPackage[] = [];
  for (const one of candidates) {
    const nevra = nevraOf(one);
    if (!modular.has(nevra)) plain.push(one);
    else byNevra.set(nevra, [...(byNevra.get(nevra) ?? []), one]);
  }
  const chosen = new Set(newest(plain));
  for (const versions of byStream(modules)) {
    for (const one of newestOfStream(versions, byNevra)) chosen.add(one);
  }
  return candidates.filter((one) => chosen.has(one));
}

function filtered(packages: readonly RpmPackage[], { excludes, includes }: Choice): readonly RpmPackage[] {
  const included = includes.length === 0 ? undefined : new Set(includes.flatMap((pattern) => packagesOf(pattern, packages)));
  const excluded = new Set(excludes.flatMap((pattern) => packagesOf(pattern, packages)));
  return packages.filter((one) => included?.has(one) !== false && !excluded.has(one));
}

/** Of each name and architecture the newest; several when they are equal. */
function newest(packages: readonly RpmPackage[]): readonly RpmPackage[] {
  const best = new Map<string, RpmPackage[]>();
  for (const one of packages) {
    const key = `${one.name}.${one.arch}`;
    const before = best.get(key);
    const order = before?.[0] === undefined ? 1 : compareEvr(one, before[0]);
    if (order > 0) best.set(key, [one]);
    else if (order === 0) before?.push(one);
  }
  return [...best.values()].flat();
}

function byStream(modules: readonly ModuleVersion[]): Iterable<readonly ModuleVersion[]> {
  const streams = new Map<string, ModuleVersion[]>();
  for (const one of modules) {
    const known = streams.get(one.stream);
    if (known === undefined) streams.set(one.stream, [one]);
    else known.push(one);
  }
  return streams.values();
}

function newestOfStream(versions: readonly ModuleVersion[], byNevra: ReadonlyMap<string, readonly RpmPackage[]>): readonly RpmPackage[] {
  const highest = versions.reduce((best, { version }) => (version > best ? version : best), -1n);
  const wanted = new Set([highest]);
  const packages = [...new Set(versions.flatMap(({ artifacts }) => artifacts))].flatMap((nevra) => byNevra.get(nevra) ?? []);
  for (const one of newest(packages)) {
    const nevra = nevraOf(one);
    const holding = versions.filter(({ artifacts }) => artifacts.includes(nevra));
    wanted.add(holding.reduce((best, { version }) => (version > best ? version : best), -1n));
  }
  return versions
    .filter(({ version }) => wanted.has(version))
    .flatMap(({ artifacts }) => artifacts.flatMap((nevra) => byNevra.get(nevra) ?? []));
}
