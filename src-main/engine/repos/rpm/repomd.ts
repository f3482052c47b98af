import { EngineError } from '../../../../src-shared/errors.ts';
import { childrenXml, findXml, readXml, textXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { type Checksum, checksumOf } from '../fetch/checksum.ts';
import { checkedBase, checkedLocation } from './location.ts';

/** The index of a repository's metadata (repodata/repomd.xml). */
export interface Repomd {
  readonly revision: string;
  readonly files: readonly MetadataFile[];
  /** Files that are left out, and why. */
  readonly unusable: readonly string[];
}

/** One file of metadata. */
export interface MetadataFile {
  /** `primary`, `filelists`, `modules`, `group_gz`… */
  readonly type: string;
  readonly location: string;
  readonly base: string | undefined;
  /** Bytes as it is stored. */
  readonly size: number | undefined;
  readonly checksum: Checksum;
}

const WHAT = 'repomd.xml';

/** Reads repomd.xml. `remote.invalid` when it is no index of a repository, or a file would be put outside of the repository's folder. */
export function readRepomd(text: string): Repomd {
  const root = readXml(text, { what: WHAT, code: 'remote.invalid' });
  if (root.name !== 'repomd') throw new EngineError('remote.invalid', `${WHAT} is not the index of a repository.`);
  const unusable: string[] = [];
  const files = childrenXml(root, 'data').flatMap((element) => fileOf(element, unusable) ?? []);
  if (!files.some(({ type }) => type === 'primary' || type === 'primary_zck')) {
    const why = unusable.find((one) => /^primary(?:_zck)? /.test(one));
    throw new EngineError(
      'remote.invalid',
      `${WHAT} names no list of packages (primary) that can be used${why === undefined ? '' : `: ${why}`}.`,
    );
  }
  return { revision: textXml(root, 'revision') ?? '', files, unusable };
}

/** Undefined for one that nothing can check, which is added to `unusable`. */
function fileOf(element: XmlElement, unusable: string[]): MetadataFile | undefined {
  const type = element.attributes.get('type') ?? '';
  const location = findXml(element, 'location')?.attributes;
  const sum = findXml(element, 'checksum');
  const href = location?.get('href');
  if (type === '' || href === undefined || sum === undefined) {
    throw new EngineError(
      'remote.invalid',
      `${WHAT} names a file without its kind, place or checksum (${type === '' ? 'unnamed' : type}).`,
    );
  }
  const kind = sum.attributes.get('type') ?? '';
  const checksum = checksumOf(kind, sum.text);
  if (checksum === undefined) {
    unusable.push(`${type} has no checksum of a known kind (${JSON.stringify(kind.slice(0, 40))})`);
    return undefined;
  }
  const size = Number(textXml(element, 'size') ?? Number.NaN);
  return {
    type,
    location: checkedLocation(href, WHAT),
    base: checkedBase(location?.get('xml:base')),
    size: Number.isSafeInteger(size) && size >= 0 ? size : undefined,
    checksum,
  };
}
