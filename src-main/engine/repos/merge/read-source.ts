import { dirname } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { forEachLimit } from '../../core/until.ts';
import type { ModulesDocument } from '../rpm/modules.ts';
import type { SourceAccount } from './account.ts';
import { type FindOptions, findPackages, isIndex } from './find-packages.ts';
import { readModules } from './modules.ts';
import { isOrdinary, NotAPackage, type PackageFile } from './package-file.ts';
import { readDebs } from './read-debs.ts';
import { readRpm } from './read-rpm.ts';
import type { MergeSource } from './source.ts';

const READERS = 4;

/** Where a source is read: folders for what is downloaded, and for files that are removed at once. */
export interface ReadOptions extends FindOptions {
  readonly scratch: string;
}

/** Finds and reads the packages of a source. Files that are no packages, and packages of sources, are counted and left out. */
export async function readSource(source: MergeSource, options: ReadOptions): Promise<SourceAccount> {
  const { signal } = options;
  const paths = await findPackages(source, options);
  const [rpms, debs] = [paths.filter((path) => path.endsWith('.rpm')), paths.filter((path) => path.endsWith('.deb'))];
  const read = [
    ...(await forEachLimit(rpms, READERS, signal, readRpmOrWhyNot)),
    ...(debs.length === 0 ? [] : await readDebs(debs, options.scratch, signal)),
  ];
  const packages: PackageFile[] = [];
  const refused: string[] = [];
  let ofSources = 0;
  for (const [at, path] of [...rpms, ...debs].entries()) {
    const one = read[at];
    if (one === undefined) ofSources++;
    else if (one instanceof NotAPackage) refused.push(`${path} is left out: ${one.message}.`);
    else if (isOrdinary(one)) packages.push(one);
    else refused.push(`${path} is left out: its name or version has characters that packages may not have.`);
  }
  return { source, packages, ofSources, refused, ...(await readAllModules(paths.filter(isIndex), signal)) };
}

/** Packages are of use without their modules: those that cannot be read are problems. */
async function readAllModules(
  indexes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Pick<SourceAccount, 'modules' | 'problems'>> {
  const modules: ModulesDocument[] = [];
  const problems: string[] = [];
  for (const index of indexes) {
    const damaged = (why: string): void => {
      problems.push(`A module of ${dirname(dirname(index))} is left out, since its description (modules.yaml) is damaged: ${why}.`);
    };
    try {
      modules.push(...(await readModules(index, damaged, signal)));
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'remote.invalid') throw error;
      problems.push(`The modules of ${dirname(dirname(index))} are left out: ${error.message}`);
    }
  }
  return { modules, problems };
}

async function readRpmOrWhyNot(path: string): Promise<PackageFile | NotAPackage | undefined> {
  try {
    return await readRpm(path);
  } catch (error) {
    if (error instanceof NotAPackage) return error;
    throw error;
  }
}
