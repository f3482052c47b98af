import { EngineError } from '../../../src-shared/errors.ts';
import { nearest } from '../../../src-shared/nearest.ts';
import { type DownloadOptions, downloadText } from '../core/download/download.ts';

/**
 * Where a vendor publishes its newest image. In `base`, `checksums` and `image` a `*` stands for a version: a digit, then digits, letters,
 * dots, dashes and underscores. The newest version in the vendor's own lists is used.
 */
export interface VendorSource {
  /** URL of the folder with image and checksum file, without a trailing slash. */
  readonly base: string;
  /** Name of the checksum file in that folder. */
  readonly checksums: string;
  /** File name of the image. */
  readonly image: string;
}

/** One image of a vendor, as listed in its checksum file. */
export interface VendorImage {
  /** Taken from the names (`20240507-1740`), else from the checksum; safe in a file name. */
  readonly version: string;
  readonly url: string;
  readonly algorithm: FileHash;
  /** Checksum of the file as served. */
  readonly hash: string;
}

type FileHash = 'sha256' | 'sha512';
interface ListedFile {
  readonly name: string;
  readonly algorithm: FileHash;
  readonly hash: string;
}

const LIST_LIMIT = 8 * 1024 * 1024;
/** A folder may exist before it is filled; this many are tried. */
const FOLDERS = 3;
const BY_LENGTH: Readonly<Record<number, FileHash>> = { 64: 'sha256', 128: 'sha512' };
const ALGORITHMS: Readonly<Record<string, FileHash>> = { SHA256: 'sha256', SHA512: 'sha512' };

/**
 * The files listed in a checksum file: lines `HASH  NAME` or `HASH *NAME` (sha256sum, sha512sum) and `SHA256 (NAME) = HASH` (BSD).
 * Everything else is skipped: comments, sizes, PGP signatures, names with a path. If a name appears twice, the stronger hash counts.
 */
export function parseChecksumFile(text: string): readonly ListedFile[] {
  const files = new Map<string, ListedFile>();
  for (const line of text.split(/\r?\n/)) {
    const plain = /^([0-9a-fA-F]+)[ \t]+\*?(?:\.\/)?(\S+)$/.exec(line.trim());
    const bsd = /^(SHA256|SHA512) ?\((?:\.\/)?([^()\s]+)\) ?= ?([0-9a-fA-F]+)$/.exec(line.trim());
    const hash = (plain?.[1] ?? bsd?.[3] ?? '').toLowerCase();
    const name = plain?.[2] ?? bsd?.[2] ?? '';
    const algorithm = BY_LENGTH[hash.length];
    if (algorithm === undefined || name === '' || name.includes('/')) continue;
    if (bsd !== null && ALGORITHMS[bsd[1] ?? ''] !== algorithm) continue;
    const known = files.get(name);
    if (known === undefined || known.hash.length < hash.length) files.set(name, { name, algorithm, hash });
  }
  return [...files.values()];
}

/** The names that a web server's folder listing links to; folders end with a slash. */
export function parseListing(html: string): readonly string[] {
  const names = new Set<string>();
  for (const [, double, single, bare] of html.matchAll(/<a\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))/gi)) {
    const target = (double ?? single ?? bare ?? '').split(/[?#]/)[0] ?? '';
    const name = /(?:^|\/)([^/]+\/?)$/.exec(target)?.[1];
    if (name === undefined || /^\.{1,2}\/?$/.test(name)) continue;
    try {
      names.add(decodeURIComponent(name));
    } catch {
      names.add(name); // a stray percent sign: keep it
    }
  }
  return [...names];
}

/** The version that `*` stands for in `name`, '' when the pattern has no `*` and is equal, undefined when it does not match. */
export function matchVersion(pattern: string, name: string): string | undefined {
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const parts = pattern.split('*').map(literal);
  // A second star repeats the first version.
  const source = parts.reduce((all, part, index) => `${all}${index === 1 ? '([0-9][0-9A-Za-z._-]*?)' : '\\1'}${part}`);
  const found = new RegExp(`^${source}$`).exec(name);
  return found === null ? undefined : (found[1] ?? '');
}

const order = new Intl.Collator('en', { numeric: true });

/** Compares versions naturally: 9.10 is newer than 9.9. */
export function compareVersions(a: string, b: string): number {
  return order.compare(a, b);
}

interface Match {
  readonly name: string;
  readonly version: string;
}

/** Names that match the pattern, the wanted version first, then newest first. */
function matches(pattern: string, names: readonly string[], wanted: string | undefined): readonly Match[] {
  const found = names.flatMap((name): Match[] => {
    const version = matchVersion(pattern, name);
    return version === undefined ? [] : [{ name, version }];
  });
  const fit = (version: string): number => {
    if (wanted === undefined || version === '') return 0;
    return version === wanted ? 1e6 : new RegExp(`^${version.replace(/[.]/g, '\\.')}[._-]`).test(wanted) ? version.length : 0;
  };
  return found.sort((a, b) => fit(b.version) - fit(a.version) || compareVersions(b.version, a.version));
}

/**
 * Asks the vendor for an image: the newest, or version `wanted`. Reads folder listings if there is a `*`, and the vendor's checksum file,
 * but no image. `template.missing` listing the available versions, `remote.unreachable`, `remote.invalid` when what is published does not
 * match the patterns.
 */
export async function findVendorImage(
  source: VendorSource,
  wanted: string | undefined,
  options: DownloadOptions = {},
): Promise<VendorImage> {
  let problem: EngineError | undefined;
  let tried = 0;
  for await (const folder of folders(source.base, wanted, options)) {
    try {
      return await imageIn(folder, source, wanted, options);
    } catch (error) {
      if (!(error instanceof EngineError) || (error.code !== 'remote.invalid' && error.code !== 'template.missing')) throw error;
      problem ??= error;
    }
    if (++tried === FOLDERS) break;
  }
  throw problem ?? new EngineError('remote.invalid', `Nothing at ${source.base} fits: there is no folder with a version in its name.`);
}

interface Folder {
  readonly url: string;
  readonly version: string;
}

/** The folders that `base` may mean, best first. */
async function* folders(base: string, wanted: string | undefined, options: DownloadOptions): AsyncGenerator<Folder> {
  const star = base.indexOf('*');
  if (star < 0) {
    yield { url: base, version: '' };
    return;
  }
  const from = base.lastIndexOf('/', star);
  const to = base.indexOf('/', star);
  const parent = base.slice(0, from);
  const pattern = to < 0 ? base.slice(from + 1) : base.slice(from + 1, to);
  const rest = to < 0 ? '' : base.slice(to);
  const names = (await listing(parent, options)).filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
  for (const match of matches(pattern, names, wanted)) {
    for await (const folder of folders(`${parent}/${encodeURIComponent(match.name)}${rest}`, wanted, options)) {
      yield { url: folder.url, version: folder.version === '' ? match.version : folder.version };
    }
  }
}

async function imageIn(folder: Folder, source: VendorSource, wanted: string | undefined, options: DownloadOptions): Promise<VendorImage> {
  const list = source.checksums.includes('*')
    ? matches(
        source.checksums,
        (await listing(folder.url, options)).filter((name) => !name.endsWith('/')),
        wanted,
      )[0]?.name
    : source.checksums;
  const text =
    list === undefined ? undefined : await downloadText(`${folder.url}/${encodeURIComponent(list)}`, { ...options, maxBytes: LIST_LIMIT });
  if (text === undefined) {
    throw new EngineError(
      'remote.invalid',
      `There is no checksum file ${source.checksums} at ${folder.url}/, so its images cannot be trusted.`,
    );
  }
  const files = parseChecksumFile(text);
  const found = matches(
    source.image,
    files.map((file) => file.name),
    wanted,
  ).map(({ name, version }): VendorImage => {
    const { algorithm, hash } = files.find((file) => file.name === name) as ListedFile;
    const known = version === '' ? folder.version : version;
    return {
      version: known === '' ? `sha-${hash.slice(0, 12)}` : known,
      url: `${folder.url}/${encodeURIComponent(name)}`,
      algorithm,
      hash,
    };
  });
  const [best] = found;
  if (best === undefined) {
    throw new EngineError('remote.invalid', `${folder.url}/${list} names no image ${source.image}.`, {
      hint: 'The vendor has renamed its images; the template repository must follow.',
    });
  }
  if (wanted === undefined) return best;
  const exact = found.find((image) => image.version === wanted);
  if (exact !== undefined) return exact;
  const versions = found.map((image) => image.version);
  throw new EngineError('template.missing', `There is no version "${wanted}" of ${source.image} at ${folder.url}/.`, {
    hint: `There are: ${versions.slice(0, 8).join(', ')}.${nearest(wanted, versions) === undefined ? '' : ` Did you mean "${nearest(wanted, versions)}"?`}`,
  });
}

async function listing(folder: string, options: DownloadOptions): Promise<readonly string[]> {
  const text = await downloadText(`${folder}/`, { ...options, maxBytes: LIST_LIMIT });
  if (text === undefined)
    throw new EngineError('remote.invalid', `There is no folder ${folder}/.`, {
      hint: 'The vendor has moved its images; the template repository must follow.',
    });
  return parseListing(text);
}
