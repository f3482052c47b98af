import type { MergedPackage, MergedRepo } from '../../src-shared/repos/merged-packages.ts';

/** A package in a list of several repositories. */
export interface PackageRow extends MergedPackage {
  /** Where it is: the repository's folder. */
  readonly folder: string;
}

/** The packages of all repositories, or of one, whose name, version, architecture or source has the words that are looked for. */
export function packageRows(repos: readonly MergedRepo[], folder: string, text: string): readonly PackageRow[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return repos
    .filter((repo) => folder === '' || repo.folder === folder)
    .flatMap((repo) => repo.packages.map((one) => ({ ...one, folder: repo.folder })))
    .filter((one) => {
      if (words.length === 0) return true;
      const all = `${one.name} ${one.version} ${one.arch} ${one.source ?? ''}`.toLowerCase();
      return words.every((word) => all.includes(word));
    });
}

/** Bytes of a repository's packages. */
export function sizeOf({ packages }: MergedRepo): number {
  return packages.reduce((sum, { size }) => sum + size, 0);
}
