import { EngineError } from '../../../../src-shared/errors.ts';
import { childrenXml, findXml, readXml, textXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { type Checksum, checksumOf } from '../fetch/checksum.ts';
import { checkedBase, checkedLocation } from './location.ts';

/** The index of a repository's metadata (repodata/repomd.xml). */
export interface Repomd {
  readonly revision: string;
  readonly files: readonly MetadataFile[];
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
  const files = childrenXml(root, 'data').map((element) => fileOf(element));
  if (!files.some(({ type }) => type === 'primary' || type === 'primary_zck')) {
    throw new EngineError('remote.invalid', `${WHAT} names no list of packages (primary).`);
  }
  return { revision: textXml(root, 'revision') ?? '', files };
}

function fileOf(element: XmlElement): MetadataFile {
  const type = element.attributes.get('type') ?? '';
  const location = findXml(element, 'location')?.attributes;
  const sum = findXml(element, 'checksum');
  const checksum = checksumOf(sum?.attributes.get('type') ?? '', sum?.text ?? '');
  const href = location?.get('href');
  if (type === '' || href === undefined || checksum === undefined) {
    throw new EngineError(
      'remote.invalid',
      `${WHAT} names a file without its kind, place or checksum (${type === '' ? 'unnamed' : type}).`,
    );
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
