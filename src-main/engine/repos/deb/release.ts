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
  /** ms since the epoch: when it was made; undefined when it does not say. */
  readonly date: number | undefined;
  /** ms since the epoch; undefined when it does not go out of date. */
  readonly validUntil: number | undefined;
  /** Indexes can be fetched by their digests too, which stay right while the archive changes. */
  readonly byHash: boolean;
  /** The indexes of each architecture have the packages for all of them too. */
  readonly allInEach: boolean;
  readonly files: ReadonlyMap<string, ReleaseFile>;
}

/** Strongest first; weaker ones are no proof. */
const DIGESTS = ['sha512', 'sha256'] as const;
/** Best packed first. */
const PACKINGS = ['.xz', '.zst', '.bz2', '.gz', ''];

/** Reads a Release file whose signature was checked, or an InRelease file without it. `remote.invalid` for a damaged one. */
export function readRelease(text: string, what: string): Release {
  const fields = readStanza(Buffer.from(text), what)?.fields ?? new Map<string, string>();
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
  const time = (name: string): number | undefined => {
    const parsed = Date.parse(fields.get(name) ?? '');
    return Number.isNaN(parsed) ? undefined : parsed;
  };
  return {
    suite: fields.get('suite') ?? '',
    codename: fields.get('codename') ?? '',
    components: words('components'),
    architectures: words('architectures'),
    date: time('date'),
    validUntil: time('valid-until'),
    allInEach: words('no-support-for-architecture-all').includes('Packages'),
    byHash: /^yes$/i.test(fields.get('acquire-by-hash') ?? ''),
    files,
  };
}

/** `remote.invalid` when the archive says that it is out of date by now, unless the source does not ask for that to be checked. */
export function requireFresh(
  { validUntil }: Pick<Release, 'validUntil'>,
  { checkValidUntil }: Pick<DebSection, 'checkValidUntil'>,
  what: string,
  now: number,
): void {
  if (!checkValidUntil || validUntil === undefined || validUntil > now) return;
  throw new EngineError('remote.invalid', `${what} was valid until ${new Date(validUntil).toISOString()} only.`, {
    hint: 'The server may be out of date. For an archive of an old distribution write Check-Valid-Until: no.',
  });
}

/**
 * What is odd about the name of an archive, as apt tells it: neither its suite nor its codename is the one that the source asks for. Of
 * `bookworm/updates` only `bookworm` counts; sources without a suite (`./`) ask for none.
 */
export function nameProblem(
  { suite, codename }: Pick<Release, 'suite' | 'codename'>,
  section: Pick<DebSection, 'id' | 'suite'>,
): string | undefined {
  const asked = section.suite === '../project/experimental' ? 'experimental' : section.suite.replace(/\/[^/]*$/, '');
  if (section.suite.endsWith('/') || asked === suite || asked === codename) return undefined;
  const called = [suite === '' ? '' : `suite ${suite}`, codename === '' ? '' : `codename ${codename}`].filter((one) => one !== '');
  return `The source ${section.id} asks for ${asked}, but its archive calls itself ${called.join(', ') || 'nothing'}.`;
}

/** The error of an archive that is older than what was seen of it before: an old index whose signature is right can be replayed. */
export function olderThanSeen(
  { date }: Pick<Release, 'date'>,
  seen: number | undefined,
  { id }: Pick<DebSection, 'id'>,
  what: string,
): EngineError | undefined {
  if (seen === undefined || (date !== undefined && date >= seen)) return undefined;
  const shown = date === undefined ? 'has no date' : `is of ${new Date(date).toISOString()}`;
  return new EngineError('remote.invalid', `${what} ${shown}, but one of ${new Date(seen).toISOString()} was there before.`, {
    hint: `The server is out of date, or replays an old index: try again later. If the archive was set back on purpose, "lago repo clean ${id}" forgets the newer one.`,
  });
}

/** One index of packages that a source wants: the same content in each file, the best packed first. */
export type WantedIndex = readonly ReleaseFile[];

/**
 * The indexes of packages that a source wants: of each component those of its architectures, and of packages for all of them.
 * `remote.invalid` for a component of which the archive has nothing for them.
 */
export function wantedIndexes(
  { files, components, architectures, allInEach }: Release,
  section: Pick<DebSection, 'id' | 'components' | 'suite'>,
  wanted: readonly string[],
): readonly WantedIndex[] {
  const packed = (folder: string): WantedIndex => PACKINGS.flatMap((packing) => files.get(`${folder}Packages${packing}`) ?? []);
  const isFlat = section.suite.endsWith('/');
  return (isFlat ? [''] : section.components).flatMap((component) => {
    const folders = isFlat ? [''] : wanted.map((arch) => `${component}/binary-${arch}/`);
    const ofEach = folders.map(packed).filter((index) => index.length > 0);
    const ofAll = isFlat || (allInEach && ofEach.length > 0) ? [] : packed(`${component}/binary-all/`);
    const found = ofAll.length > 0 ? [...ofEach, ofAll] : ofEach;
    if (found.length > 0) return found;
    const what = isFlat ? 'packages' : `packages of ${component} for ${wanted.join(' or ')}`;
    throw new EngineError('remote.invalid', `The source ${section.id} has no ${what}.`, {
      hint: isFlat
        ? 'Check the address of the source.'
        : `Its archive has the components ${components.join(', ') || 'none'}, for ${architectures.join(', ') || 'no architecture'}.`,
    });
  });
}
