import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { shownAddress } from '../../core/download/shown-url.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { sleep } from '../../core/until.ts';
import { failureKind } from '../fetch/failure.ts';
import { type FetchedText, fetchText } from '../fetch/fetch-text.ts';
import { writeKeyring } from '../keys/keyring.ts';
import type { KnownIndex } from '../store/record.ts';
import type { Archive } from './archive.ts';
import { nameProblem, olderThanSeen, type Release, readRelease, requireFresh } from './release.ts';
import type { DebSession } from './session.ts';
import { readSignedRelease, textOfUnchecked } from './signed-release.ts';
import type { Trust } from './trust.ts';

/** The archive's Release file as it is now. */
export interface Index {
  readonly release: Release;
  readonly known: KnownIndex;
}

const MAX_RELEASE = 64 * 1024 * 1024;
const MAX_SIGNATURE = 1024 * 1024;
/** What was sent may be damaged, and a Release file and its signature may be of different moments. */
const TRIES = 4;
/** For indexes of sources that are trusted. */
const UNCHECKED = 'unchecked';

export interface Known {
  /** What the session's folder has; undefined when that is not whole. */
  readonly index: KnownIndex | undefined;
  /** ms since the epoch: the latest date of a Release file that was seen. */
  readonly date: number | undefined;
}

/**
 * Reads InRelease, or Release and its signature, checked with the keys of the source; `unchanged` when it is the known one, which was
 * checked with the same keys, or, as for apt, when it is older than that. `remote.invalid` when it is not signed by one of them, out of date,
 * or older than what was seen while there is nothing to keep.
 */
export async function readIndex(
  session: DebSession,
  archive: Archive,
  trust: Trust | undefined,
  known: Known,
): Promise<Index | 'unchanged'> {
  const { section, patience, log, signal } = session;
  const before = known.index?.trust === (trust?.digest ?? UNCHECKED) ? known.index : undefined;
  for (let tries = 1; ; tries++) {
    const fetched = await fetchRelease(session, archive, before);
    const { what } = fetched;
    const sha256 = fetched.file === 'unchanged' ? before?.sha256 : digestOf(fetched.file);
    if (before !== undefined && sha256 === before.sha256) {
      requireFresh({ validUntil: before.validUntil }, section, what, Date.now());
      return 'unchanged';
    }
    if (fetched.file === 'unchanged' || sha256 === undefined)
      throw new EngineError('internal', `${what} is unchanged, but was never read.`);
    try {
      const { content, etag, modified } = fetched.file;
      const text =
        trust === undefined
          ? textOfUnchecked(content.toString('utf8'))
          : await checkedText(session, archive, trust, content, fetched.inline, what);
      const release = readRelease(text, what);
      requireFresh(release, section, what, Date.now());
      const older = olderThanSeen(release, known.date, section, what);
      if (older !== undefined && (before === undefined || tries < TRIES)) throw older;
      if (older !== undefined) {
        requireFresh({ validUntil: before?.validUntil }, section, what, Date.now());
        log.warn(`${older.message} The packages stay as they are.`);
        return 'unchanged';
      }
      const odd = nameProblem(release, section);
      if (odd !== undefined) log.warn(odd);
      const { validUntil, date } = release;
      return { release, known: { sha256, etag, modified, validUntil, date, trust: trust?.digest ?? UNCHECKED } };
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'remote.invalid' || tries === TRIES) throw error;
      log.debug(`${error.message} Trying again.`);
      await sleep((patience.backOffMs ?? 500) * tries, signal);
    }
  }
}

function digestOf({ content }: FetchedText): string {
  return createHash('sha256').update(content).digest('hex');
}

interface FetchedRelease {
  readonly file: FetchedText | 'unchanged';
  /** The signature is in the file itself. */
  readonly inline: boolean;
  /** For messages. */
  readonly what: string;
}

async function fetchRelease(session: DebSession, archive: Archive, known: KnownIndex | undefined): Promise<FetchedRelease> {
  const { connections, patience, section } = session;
  const check = (content: Buffer): void => void readRelease(textOfUnchecked(content.toString('utf8')), 'the file');
  for (const name of ['InRelease', 'Release'] as const) {
    const location = `${archive.folder}${name}`;
    const options = { maxBytes: MAX_RELEASE, known, check };
    const file = await fetchText(connections, archive.mirrors, location, options, patience).catch((error: unknown) => {
      // Some servers say that of files that they do not have.
      if (name === 'InRelease' && failureKind(error) === 'refused') return undefined;
      throw error;
    });
    if (file !== undefined) return { file, inline: name === 'InRelease', what: `${name} of the source ${section.id}` };
  }
  throw new EngineError(
    'remote.invalid',
    `The source ${section.id} is not there: ${shownAddress(section.uri)} has no ${archive.folder}InRelease or Release.`,
    {
      hint: 'Check URIs and Suites of the source: old releases move to an archive.',
    },
  );
}

async function checkedText(
  session: DebSession,
  { mirrors, folder }: Archive,
  trust: Trust,
  content: Buffer,
  inline: boolean,
  what: string,
): Promise<string> {
  const { connections, patience, signal } = session;
  const dir = join(session.folder.state, 'keys');
  const [keyring, file, signature] = [join(dir, 'keyring.gpg'), join(dir, 'Release'), join(dir, 'Release.gpg')];
  try {
    await mkdir(dir, { recursive: true });
    await writeFile(file, content);
    if (!inline) {
      const fetched = await fetchText(connections, mirrors, `${folder}Release.gpg`, { maxBytes: MAX_SIGNATURE }, patience);
      if (fetched === undefined || fetched === 'unchanged') {
        throw new EngineError('remote.invalid', `${what} has no signature.`, {
          hint: 'Write Trusted: yes to use the source without one.',
        });
      }
      await writeFile(signature, fetched.content);
    }
  } catch (error) {
    throw diskError(error, dir);
  }
  await writeKeyring(keyring, trust.keys);
  return await readSignedRelease(
    { file, signature: inline ? undefined : signature, keyring, fingerprints: trust.fingerprints, what },
    signal,
  );
}
