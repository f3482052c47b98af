import { EngineError } from '../../../../src-shared/errors.ts';
import type { DebSection } from '../definition/section.ts';
import { readStanza } from './stanzas.ts';

/** A file that a Release file vouches for. */
export interface ReleaseFile {
  /** Relative to the Release file. */
  readonly path: string;
  readonly size: number;
  readonly checksum: { readonly algorithm: 'sha512' | 'sha256'; readonly hex: string };
}

/** What an archive says of itself. */
export interface Release {
  readonly suite: string;
  readonly codename: string;
  readonly components: readonly string[];
  readonly architectures: readonly string[];
  /** ms since the epoch; undefined when it does not go out of date. */
  readonly validUntil: number | undefined;
  /** Indexes can be fetched by their digests too, which stay right while the archive changes. */
  readonly byHash: boolean;
  readonly files: ReadonlyMap<string, ReleaseFile>;
}

/** Strongest first; weaker ones are no proof. */
const DIGESTS = ['sha512', 'sha256'] as const;
/** Best packed first. */
const PACKINGS = ['.xz', '.zst', '.bz2', '.gz', ''];

/** Reads a Release file whose signature was checked, or an InRelease file without it. `remote.invalid` for a damaged one. */
export function readRelease(text: string, what: string): Release {
  const fields = readStanza(text, what)?.fields ?? new Map<string, string>();
  const words = (name: string): readonly string[] => (fields.get(name) ?? '').split(/\s+/).filter((word) => word !== '');
  const files = new Map<string, ReleaseFile>();
  for (const algorithm of DIGESTS.toReversed()) {
    for (const line of (fields.get(algorithm) ?? '').split('\n')) {
      const [, hex, size, path] = /^\s*([0-9a-f]{64,128})\s+(\d{1,15})\s+(\S+)\s*$/.exec(line) ?? [];
      if (hex === undefined || path === undefined) continue;
      if (path.startsWith('/') || path.split('/').includes('..')) continue;
      files.set(path, { path, size: Number(size), checksum: { algorithm, hex } });
    }
  }
  if (files.size === 0) {
    throw new EngineError('remote.invalid', `${what} names no files with SHA-256 or SHA-512 digests.`, {
      hint: 'Weaker digests (MD5, SHA-1) are no protection; the archive has to be made anew.',
    });
  }
  const until = fields.get('valid-until');
  return {
    suite: fields.get('suite') ?? '',
    codename: fields.get('codename') ?? '',
    components: words('components'),
    architectures: words('architectures'),
    validUntil: until === undefined || Number.isNaN(Date.parse(until)) ? undefined : Date.parse(until),
    byHash: /^yes$/i.test(fields.get('acquire-by-hash') ?? ''),
    files,
  };
}

/** `remote.invalid` when the archive says that it is out of date by now, unless the source does not ask for that to be checked. */
export function requireFresh(release: Release, { checkValidUntil }: Pick<DebSection, 'checkValidUntil'>, what: string, now: number): void {
  const { validUntil } = release;
  if (!checkValidUntil || validUntil === undefined || validUntil > now) return;
  throw new EngineError('remote.invalid', `${what} was valid until ${new Date(validUntil).toISOString()} only.`, {
    hint: 'The server may be out of date. For an archive of an old distribution write Check-Valid-Until: no.',
  });
}

/** Folders of the indexes of packages that a source wants, below its Release file: one for each component and architecture. */
export function indexFolders(section: Pick<DebSection, 'components' | 'suite'>, architectures: readonly string[]): readonly string[] {
  if (section.suite.endsWith('/')) return [''];
  return section.components.flatMap((component) => ['all', ...architectures].map((arch) => `${component}/binary-${arch}/`));
}

/** The index of packages of a folder, as best packed; undefined when the archive has none there. */
export function packagesIndex({ files }: Release, folder: string): ReleaseFile | undefined {
  return PACKINGS.flatMap((packing) => files.get(`${folder}Packages${packing}`) ?? [])[0];
}
