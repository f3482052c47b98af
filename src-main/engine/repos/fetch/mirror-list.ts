import { childrenXml, findXml, readXml, textXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { type Checksum, checksumOf } from './checksum.ts';

/** What a mirror list or a metalink says. */
export interface MirrorList {
  /** Addresses of the repository, best first. */
  readonly urls: readonly string[];
  /** Checksums of the current repomd.xml and of those that are still valid; empty when it does not say. */
  readonly repomd: readonly Checksum[];
}

const REPOMD = /\/?repodata\/repomd\.xml$/;
const STRONGEST = ['sha512', 'sha384', 'sha256', 'sha1', 'md5'];

/** Reads a mirror list (an address per line) or a metalink. `remote.invalid` for XML that cannot be read; it may have no address. */
export function readMirrorList(text: string, what: string): MirrorList {
  if (!text.trimStart().startsWith('<')) {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    return { urls: lines.filter((line) => isFetchable(line)), repomd: [] };
  }
  const root = readXml(text, { what, code: 'remote.invalid' });
  const files = childrenXml(findXml(root, 'files') ?? root, 'file');
  const file = files.find((one) => one.attributes.get('name') === 'repomd.xml') ?? files[0];
  if (file === undefined) return { urls: [], repomd: [] };
  const urls = childrenXml(findXml(file, 'resources') ?? file, 'url')
    .map((element) => ({ url: element.text.trim(), preference: preferenceOf(element) }))
    .filter(({ url }) => isFetchable(url) && REPOMD.test(url))
    .toSorted((a, b) => b.preference - a.preference)
    .map(({ url }) => url.replace(REPOMD, '/'));
  const alternates = childrenXml(findXml(file, 'mm0:alternates') ?? file, 'mm0:alternate');
  return { urls, repomd: [file, ...alternates].flatMap((element) => strongestHash(element)) };
}

function isFetchable(url: string): boolean {
  return /^(https?|file):\/\//i.test(url) && URL.canParse(url);
}

/** Version 3 has `preference` (higher is better), version 4 `priority` (lower is better). */
function preferenceOf(element: XmlElement): number {
  const preference = Number(element.attributes.get('preference') ?? Number.NaN);
  if (Number.isFinite(preference)) return preference;
  const priority = Number(element.attributes.get('priority') ?? Number.NaN);
  return Number.isFinite(priority) ? -priority : 0;
}

function strongestHash(element: XmlElement): readonly Checksum[] {
  const hashes = childrenXml(findXml(element, 'verification') ?? element, 'hash');
  for (const type of STRONGEST) {
    const found = hashes.find((hash) => hash.attributes.get('type')?.toLowerCase().replace('-', '') === type);
    const checksum = found === undefined ? undefined : checksumOf(type, textXml(found) ?? '');
    if (checksum !== undefined) return [checksum];
  }
  return [];
}
