import { posix } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Stanza } from './stanzas.ts';

/** One thing that a package needs or offers: `libc6 (>= 2.36)`. */
export interface DebRelation {
  readonly name: string;
  readonly relation?: string | undefined;
  readonly version?: string | undefined;
}

/** A package as an archive's index describes it. */
export interface DebPackage {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  /** Path below the archive. */
  readonly filename: string;
  readonly size: number;
  readonly checksum: { readonly algorithm: string; readonly hex: string };
  /** What it depends on and provides, as the index writes it: most packages of an archive are never asked; see `relationsOf`. */
  readonly depends: string;
  readonly provides: string;
}

/** The fields of an entry that say which file it is about. */
const FILE_FIELDS = ['package', 'version', 'architecture', 'filename', 'size', 'sha512', 'sha256'];

/** What is read of the entries of an index; what packages depend on only where it is asked for. */
export const ENTRY_FIELDS: ReadonlySet<string> = new Set(FILE_FIELDS);
export const ENTRY_FIELDS_WITH_RELATIONS: ReadonlySet<string> = new Set([...FILE_FIELDS, 'pre-depends', 'depends', 'provides']);

/** Packages, those of the installer (`.udeb`) and those of debug symbols (`.ddeb`). */
const PACKAGE_FILE = /\.[du]?deb$/;

export function isDebFile(path: string): boolean {
  return PACKAGE_FILE.test(path);
}

/** Reads an entry of a Packages file. `remote.invalid` when it lacks what every entry has, or its file lies outside of the archive. */
export function debPackageOf({ fields }: Pick<Stanza, 'fields'>, what: string): DebPackage {
  const [name, version, arch, filename] = ['package', 'version', 'architecture', 'filename'].map((field) => fields.get(field) ?? '');
  const size = Number(fields.get('size') ?? 'NaN');
  const digests = ['sha512', 'sha256'].map((algorithm) => ({ algorithm, hex: fields.get(algorithm)?.toLowerCase() ?? '' }));
  const checksum = digests.find(({ hex }) => /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/.test(hex));
  const isPlain = isPlainName(name ?? '') && /^[\w.+~^:-]+$/.test(version ?? '') && isPlainName(arch ?? '');
  if (!name || !version || !arch || !filename || !Number.isSafeInteger(size) || checksum === undefined || !isPlain) {
    throw new EngineError('remote.invalid', `${what} is damaged: the entry of ${JSON.stringify(name)} is not complete.`);
  }
  const path = posix.normalize(filename);
  if (path.startsWith('/') || filename.split('/').includes('..') || !isDebFile(path)) {
    throw new EngineError('remote.invalid', `${what} names ${JSON.stringify(filename.slice(0, 200))}, which is no package of the archive.`);
  }
  const depends = ['pre-depends', 'depends'].flatMap((field) => fields.get(field) ?? []).join(', ');
  return { name, version, arch, filename: path, size, checksum, depends, provides: fields.get('provides') ?? '' };
}

function isPlainName(name: string): boolean {
  return /^[a-z0-9][a-z0-9+.-]*$/i.test(name);
}

/** What `depends` or `provides` says, `a (>= 1) [amd64] | b:any, c`: a list of alternatives of each. */
export function relationsOf(text: string): readonly (readonly DebRelation[])[] {
  return text.split(',').flatMap((group) => {
    const alternatives = group.split('|').flatMap((part) => {
      const [, name, relation, version] = /^\s*([^\s:([<]+)(?::\w+)?\s*(?:\(\s*([<>=]{1,2})\s*([^\s)]+)\s*\))?/.exec(part) ?? [];
      return name === undefined ? [] : [{ name, relation, version }];
    });
    return alternatives.length === 0 ? [] : [alternatives];
  });
}
