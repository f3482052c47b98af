import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { shownAddress } from '../../core/download/shown-url.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { sleep } from '../../core/until.ts';
import { fetchText } from '../fetch/fetch-text.ts';
import { binaryKeys, verifySignature, writeKeyring } from '../keys/keyring.ts';
import { readKeys } from '../keys/read-keys.ts';
import type { KnownIndex } from '../store/record.ts';
import { type Repomd, readRepomd } from './repomd.ts';
import type { RpmSession } from './session.ts';
import type { Sources } from './sources.ts';

/** The repository's index as it is now. */
export interface Index {
  readonly repomd: Repomd;
  readonly known: KnownIndex;
}

const LOCATION = 'repodata/repomd.xml';
const MAX_INDEX = 16 * 1024 * 1024;
const MAX_SIGNATURE = 1024 * 1024;
/** Index and signature may be of different moments, or mirrors. */
const SIGNATURE_TRIES = 4;

/** Reads repomd.xml, checked as the repository wants it; `unchanged` when it is that of the record. */
export async function readIndex(session: RpmSession, sources: Sources, known: KnownIndex | undefined): Promise<Index | 'unchanged'> {
  for (let tries = 1; ; tries++) {
    const index = await fetchIndex(session, sources, known);
    if (index === 'unchanged' || index.index.known.sha256 === known?.sha256) return 'unchanged';
    if (!session.section.repoGpgCheck) return index.index;
    try {
      await checkSignature(session, sources, index.content);
      return index.index;
    } catch (error) {
      const again = error instanceof EngineError && error.code === 'remote.invalid' && tries < SIGNATURE_TRIES;
      if (!again) throw error;
      session.log.debug(`${error.message} Trying again.`);
      await sleep((session.patience.backOffMs ?? 500) * tries, session.signal);
    }
  }
}

async function fetchIndex(
  { connections, patience, section }: RpmSession,
  { mirrors, repomd }: Sources,
  known: KnownIndex | undefined,
): Promise<{ readonly index: Index; readonly content: Buffer } | 'unchanged'> {
  const check = (content: Buffer): void => {
    const right = repomd.length === 0 || repomd.some(({ algorithm, hex }) => createHash(algorithm).update(content).digest('hex') === hex);
    if (!right) throw new Error('it is not the one that the metalink names');
    readRepomd(content.toString('utf8'));
  };
  const fetched = await fetchText(connections, mirrors, LOCATION, { maxBytes: MAX_INDEX, known, check }, patience);
  if (fetched === undefined) {
    throw new EngineError(
      'remote.invalid',
      `The repository ${section.id} is not there: no server has ${LOCATION} below ${shownAddress(mirrors.best().url)}.`,
      {
        hint: 'Check baseurl and the release of the distribution: old releases move to an archive.',
      },
    );
  }
  if (fetched === 'unchanged') return 'unchanged';
  const { content, etag, modified } = fetched;
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { index: { repomd: readRepomd(content.toString('utf8')), known: { sha256, etag, modified } }, content };
}

async function checkSignature(session: RpmSession, { mirrors }: Sources, content: Buffer): Promise<void> {
  const { connections, patience, section, folder, signal } = session;
  const what = `${LOCATION} of the repository ${section.id}`;
  const signature = await fetchText(connections, mirrors, `${LOCATION}.asc`, { maxBytes: MAX_SIGNATURE }, patience);
  if (signature === undefined || signature === 'unchanged') {
    throw new EngineError('remote.invalid', `${what} has no signature, and repo_gpgcheck asks for one.`);
  }
  const keys = await readKeys(session);
  const dir = join(folder.state, 'keys');
  const [keyring, asc, file] = [join(dir, 'keyring.gpg'), join(dir, 'repomd.xml.asc'), join(dir, 'repomd.xml')];
  try {
    await mkdir(dir, { recursive: true });
    await writeFile(asc, signature.content);
    await writeFile(file, content);
  } catch (error) {
    throw diskError(error, dir);
  }
  await writeKeyring(
    keyring,
    keys.map((key) => binaryKeys(key, `A key of the repository ${section.id}`)),
  );
  await verifySignature(keyring, asc, file, what, signal);
}
