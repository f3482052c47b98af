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
  /** What it depends on, as the index writes it: most packages of an archive are never asked; see `dependenciesOf`. */
  readonly depends: string;
  readonly provides: readonly DebRelation[];
}

/** Reads an entry of a Packages file. `remote.invalid` when it lacks what every entry has, or its file lies outside of the archive. */
export function debPackageOf({ fields }: Stanza, what: string): DebPackage {
  const [name, version, arch, filename] = ['package', 'version', 'architecture', 'filename'].map((field) => fields.get(field) ?? '');
  const size = Number(fields.get('size') ?? 'NaN');
  const digests = ['sha512', 'sha256'].map((algorithm) => ({ algorithm, hex: fields.get(algorithm)?.toLowerCase() ?? '' }));
  const checksum = digests.find(({ hex }) => /^(?:[0-9a-f]{64}|[0-9a-f]{128})$/.test(hex));
  const isPlain = isPlainName(name ?? '') && /^[\w.+~^:-]+$/.test(version ?? '') && isPlainName(arch ?? '');
  if (!name || !version || !arch || !filename || !Number.isSafeInteger(size) || checksum === undefined || !isPlain) {
    throw new EngineError('remote.invalid', `${what} is damaged: the entry of ${JSON.stringify(name)} is not complete.`);
  }
  const path = posix.normalize(filename);
  if (path.startsWith('/') || filename.split('/').includes('..') || !path.endsWith('.deb')) {
    throw new EngineError('remote.invalid', `${what} names ${JSON.stringify(filename.slice(0, 200))}, which is no package of the archive.`);
  }
  const depends = ['pre-depends', 'depends'].flatMap((field) => fields.get(field) ?? []).join(', ');
  return {
    name: ownCopy(name),
    version: ownCopy(version),
    arch: ownCopy(arch),
    filename: ownCopy(path),
    size,
    checksum: { algorithm: checksum.algorithm, hex: ownCopy(checksum.hex) },
    depends: ownCopy(depends),
    provides: groupsOf(ownCopy(fields.get('provides') ?? '')).flat(),
  };
}

/** What a package depends on; each is a list of alternatives. */
export function dependenciesOf({ depends }: DebPackage): readonly (readonly DebRelation[])[] {
  return groupsOf(depends);
}

/** A part of a string keeps the whole of it in memory, which would be the whole index. */
function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}

function isPlainName(name: string): boolean {
  return /^[a-z0-9][a-z0-9+.-]*$/i.test(name);
}

/** `a (>= 1) [amd64] | b:any, c` → alternatives of each. */
function groupsOf(text: string): DebRelation[][] {
  return text.split(',').flatMap((group) => {
    const alternatives = group.split('|').flatMap((part) => {
      const [, name, relation, version] = /^\s*([^\s:([<]+)(?::\w+)?\s*(?:\(\s*([<>=]{1,2})\s*([^\s)]+)\s*\))?/.exec(part) ?? [];
      return name === undefined ? [] : [{ name, relation, version }];
    });
    return alternatives.length === 0 ? [] : [alternatives];
  });
}
