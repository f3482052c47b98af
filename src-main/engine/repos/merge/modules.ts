import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { unpackMetadata } from '../fetch/unpack-metadata.ts';
import { type ModulesDocument, readModulesDocuments } from '../rpm/modules.ts';
import { readRepomd } from '../rpm/repomd.ts';
import type { PackageFile } from './package-file.ts';

/**
 * What a repository says of modules; `index` is its repomd.xml. Empty if it says nothing. `remote.invalid` when that cannot be read; single
 * descriptions that are damaged are left out, and `damaged` is told why.
 */
export async function readModules(
  index: string,
  damaged: (why: string) => void,
  signal: AbortSignal | undefined,
): Promise<readonly ModulesDocument[]> {
  const { files } = readRepomd(await readFile(index, 'utf8'));
  const file = files.find(({ type }) => type === 'modules') ?? files.find(({ type }) => type === 'modules_zck');
  if (file === undefined) return [];
  const path = join(dirname(dirname(index)), file.location);
  const documents: ModulesDocument[] = [];
  try {
    for await (const one of readModulesDocuments(await unpackMetadata(path, path, signal), damaged)) documents.push(one);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new EngineError('remote.invalid', `${path} is missing.`, { cause: error });
  }
  return documents;
}

/** The packages, each with the stream of a module that it belongs to. */
export function withStreams(packages: readonly PackageFile[], documents: readonly ModulesDocument[]): readonly PackageFile[] {
  const streams = new Map(documents.flatMap(({ version }) => version?.artifacts.map((one) => [one, version.stream] as const) ?? []));
  return streams.size === 0 ? packages : packages.map((one) => ({ ...one, stream: streams.get(artifactOf(one)) }));
}

/**
 * A modules.yaml for these packages: the streams that any of them belongs to, and what is said of their modules otherwise. Undefined when
 * none belongs to a module.
 */
export function modulesOf(packages: readonly PackageFile[], documents: readonly ModulesDocument[]): string | undefined {
  const present = new Set(packages.filter(({ kind }) => kind === 'rpm').map(artifactOf));
  const streams = documents.filter(({ version }) => version?.artifacts.some((one) => present.has(one)) === true);
  const modules = new Set(streams.map(({ module }) => module));
  const others = documents.filter(({ module, version }) => version === undefined && modules.has(module));
  const texts = new Set([...streams, ...others].map(({ text }) => text));
  return texts.size === 0 ? undefined : [...texts].map((text) => `---\n${text.trimEnd()}\n...\n`).join('');
}

/** A package as modules name it. */
function artifactOf({ name, version: { epoch, version, release }, arch }: PackageFile): string {
  return `${name}-${epoch}:${version}-${release}.${arch}`;
}
