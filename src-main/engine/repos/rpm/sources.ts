import { EngineError } from '../../../../src-shared/errors.ts';
import { shownAddress } from '../../core/download/shown-url.ts';
import type { Checksum } from '../fetch/checksum.ts';
import { fetchText } from '../fetch/fetch-text.ts';
import { readMirrorList } from '../fetch/mirror-list.ts';
import { createMirrors, type Mirrors, oneMirror } from '../fetch/mirrors.ts';
import type { RpmSession } from './session.ts';

/** Where a repository can be fetched from. */
export interface Sources {
  readonly mirrors: Mirrors;
  /** What a metalink says repomd.xml must be; empty without one. */
  readonly repomd: readonly Checksum[];
}

const MAX_LIST = 4 * 1024 * 1024;

/**
 * Finds the servers: baseurl, then those of the metalink, then those of the mirror list. A list that cannot be had is passed over where there
 * is a baseurl. `remote.invalid` when there is no server, else as `fetchText`.
 */
export async function readSources(session: RpmSession): Promise<Sources> {
  const { id, baseurls, metalink, mirrorlist } = session.section;
  const urls = [...baseurls];
  const repomd: Checksum[] = [];
  for (const list of [metalink, mirrorlist]) {
    if (list === undefined) continue;
    const found = await readList(session, list).catch((error: unknown) => {
      const passes = baseurls.length > 0 && error instanceof EngineError && error.code.startsWith('remote.');
      if (!passes) throw error;
      session.log.warn(`${error.message} Only what baseurl of ${id} names is used.`);
      return undefined;
    });
    if (found === undefined) continue;
    urls.push(...found.urls);
    if (list === metalink && baseurls.length === 0) repomd.push(...found.repomd);
  }
  if (urls.length === 0) {
    throw new EngineError('remote.invalid', `The repository ${id} has no server: ${describeLists(session)}.`, {
      hint: 'Check baseurl, metalink or mirrorlist of the repository.',
    });
  }
  return { mirrors: createMirrors(urls), repomd };
}

function describeLists({ section: { metalink, mirrorlist } }: RpmSession): string {
  const list = metalink ?? mirrorlist;
  return list === undefined ? 'it names no baseurl, metalink or mirrorlist' : `${shownAddress(list)} names none`;
}

/** Of a list that can be done without. */
const FEW_ATTEMPTS = 2;

async function readList({ connections, patience: whole, section }: RpmSession, url: string) {
  const patience = section.baseurls.length > 0 ? { ...whole, attempts: FEW_ATTEMPTS } : whole;
  const read = (content: Buffer) => readMirrorList(content.toString('utf8'), shownAddress(url));
  const fetched = await fetchText(connections, oneMirror(url), undefined, { maxBytes: MAX_LIST, check: read }, patience);
  if (fetched === undefined || fetched === 'unchanged') {
    throw new EngineError('remote.invalid', `The list of servers of the repository ${section.id} does not exist: ${shownAddress(url)}.`);
  }
  return read(fetched.content);
}
