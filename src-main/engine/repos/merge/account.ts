import { EngineError } from '../../../../src-shared/errors.ts';
import type { ModulesDocument } from '../rpm/modules.ts';
import { builtFor, distrosOf } from './distro.ts';
import type { PackageFile } from './package-file.ts';
import type { MergeSource } from './source.ts';

/** What became of the files of a source. */
export interface SourceAccount {
  readonly source: MergeSource;
  readonly packages: readonly PackageFile[];
  /** What its repositories say of modules. */
  readonly modules: readonly ModulesDocument[];
  /** How many packages of sources (`.src.rpm`) it has, which are left out. */
  readonly ofSources: number;
  /** Files that are called packages and are none, with the reason: sentences. */
  readonly refused: readonly string[];
  /** What else cannot be used: sentences. */
  readonly problems: readonly string[];
}

/** Why a source has no packages; undefined for one that has. */
export function whyEmpty({ source, packages, ofSources, refused }: SourceAccount): string | undefined {
  if (packages.length > 0) return undefined;
  const reasons = [
    ...(ofSources === 0 ? [] : [`${count(ofSources, 'package of sources', 'packages of sources')}, which are left out`]),
    ...(refused.length === 0 ? [] : [`${count(refused.length, 'file that is no package', 'files that are no packages')}`]),
  ];
  return `${source.text} has no packages${reasons.length === 0 ? '' : `, only ${reasons.join(' and ')}`}.`;
}

/** The error of a merge that would have no package at all: what was looked at, and why none of it counted. */
export function nothingToMerge(accounts: readonly SourceAccount[], distros: readonly string[]): EngineError {
  const lines = accounts.flatMap((account) => [whyEmpty(account) ?? forOthers(account, distros), ...account.refused, ...account.problems]);
  const wanted = distros.join(', ');
  return new EngineError('input.missing-file', [`No source has a package for ${wanted}:`, ...lines].join('\n  '), {
    hint: 'Nothing was changed. Name a folder with packages that were built, or another distribution with --distro.',
    details: { distros: wanted, sources: accounts.length },
  });
}

function forOthers({ source, packages }: SourceAccount, distros: readonly string[]): string {
  const foreign = packages.filter((one) => distrosOf(one, distros).length === 0);
  const tags = new Set(foreign.map((one) => builtFor(one) ?? `distributions with ${one.kind}`));
  return `${source.text} has ${count(packages.length, 'package', 'packages')}, for ${[...tags].sort().join(', ')}.`;
}

function count(number: number, one: string, more: string): string {
  return `${number} ${number === 1 ? one : more}`;
}
