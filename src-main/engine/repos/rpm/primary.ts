import { EngineError } from '../../../../src-shared/errors.ts';
import { findXml, readXml, textXml } from '../../core/xml/read-xml.ts';
import { checksumOf } from '../fetch/checksum.ts';
import { checkedBase, checkedLocation } from './location.ts';
import type { RpmPackage } from './package.ts';
import { packageElements } from './package-elements.ts';

/** What follows in a package is not needed to choose and fetch it, and is most of its text. */
const FORMAT = Buffer.from('<format>');
const MAX_PACKAGES = 1_000_000;

/**
 * Reads the packages of primary metadata from its (decompressed) content as it arrives. `remote.invalid` when it is damaged, or a package
 * would be put outside of the repository's folder.
 */
export async function readPrimary(content: AsyncIterable<Buffer>, what: string): Promise<readonly RpmPackage[]> {
  const packages: RpmPackage[] = [];
  const keep = keeper();
  for await (const { isPackage, bytes } of packageElements(content, what)) {
    if (!isPackage) continue;
    packages.push(packageOf(bytes, what, keep));
    if (packages.length > MAX_PACKAGES) throw new EngineError('remote.invalid', `${what} has more than ${MAX_PACKAGES} packages.`);
  }
  return packages;
}

function packageOf(bytes: Buffer, what: string, keep: Keep): RpmPackage {
  const cut = bytes.indexOf(FORMAT);
  const short = cut < 0 ? undefined : `${bytes.toString('utf8', 0, cut)}</package>`;
  const full = (): RpmPackage => parsePackage(bytes.toString('utf8'), what, keep);
  // The order of elements is fixed in practice only.
  return short?.includes('<location') === true ? parsePackage(short, what, keep) : full();
}

function parsePackage(text: string, what: string, keep: Keep): RpmPackage {
  const root = readXml(text, { what, code: 'remote.invalid' });
  const name = textXml(root, 'name');
  const arch = textXml(root, 'arch');
  const version = findXml(root, 'version')?.attributes;
  const sum = findXml(root, 'checksum');
  const location = findXml(root, 'location')?.attributes;
  const href = location?.get('href');
  const size = Number(findXml(root, 'size')?.attributes.get('package') ?? Number.NaN);
  const checksum = checksumOf(sum?.attributes.get('type') ?? '', sum?.text ?? '');
  const ver = version?.get('ver');
  if (name === undefined || arch === undefined || ver === undefined || href === undefined || !Number.isSafeInteger(size) || size < 0) {
    throw new EngineError('remote.invalid', `${what} has a package without a name, version, place or size (${name ?? 'unnamed'}).`);
  }
  if (checksum === undefined) {
    throw new EngineError('remote.invalid', `${what} has no checksum of a known kind for the package ${name}.`);
  }
  const hex = kept(checksum.hex);
  return {
    name: kept(name),
    arch: keep(arch),
    epoch: keep(version?.get('epoch') ?? '0'),
    version: keep(ver),
    release: keep(version?.get('rel') ?? ''),
    id: hex,
    checksum: { algorithm: keep(checksum.algorithm), hex },
    size,
    location: kept(checkedLocation(href, what)),
    base: checkedBase(location?.get('xml:base')),
  };
}

type Keep = (text: string) => string;

/** One copy of what many packages share. */
function keeper(): Keep {
  const known = new Map<string, string>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const copy = kept(text);
    known.set(copy, copy);
    return copy;
  };
}

/** A copy of its own: a piece of a longer string keeps all of it in memory. */
function kept(text: string): string {
  return Buffer.from(text).toString();
}
