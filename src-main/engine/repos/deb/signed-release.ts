import { readFile } from 'node:fs/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { run } from '../../core/run.ts';

export interface SignedRelease {
  /** An InRelease file, or a Release file beside its detached `signature`. */
  readonly file: string;
  readonly signature?: string | undefined;
  /** Public keys in gpgv's (binary) form. */
  readonly keyring: string;
  /** Only these keys of it count, by fingerprint; with none each does. With `!` at its end: not its subkeys. */
  readonly fingerprints: readonly string[];
  /** For messages. */
  readonly what: string;
}

/** More than any archive has. */
const MAX_RELEASE = 64 * 1024 * 1024;

/**
 * The text of a Release file, checked with gpgv: only what is signed, never what stands around it. One good signature by a key that counts
 * is enough, since archives sign with several keys; one that is wrong is too many. `remote.invalid` with gpgv's own words,
 * `host.missing-tool` without gpgv.
 */
export async function readSignedRelease(release: SignedRelease, signal?: AbortSignal): Promise<string> {
  const { file, signature, keyring, fingerprints, what } = release;
  const signed = signature === undefined ? ['--output', '-', file] : [signature, file];
  const argv = ['gpgv', '--status-fd', '2', '--keyring', keyring, ...signed];
  const { stdout, stderr } = await run(argv, { signal, timeoutMs: 60_000, maxOutput: MAX_RELEASE });
  const lines = stderr.split('\n');
  const statuses = lines.flatMap((line) => /^\[GNUPG:\] (.*)/.exec(line)?.[1] ?? []);
  const signers = signersOf(statuses);
  const wrong = statuses.some((status) => status.startsWith('BADSIG '));
  if (!wrong && signers.some((signer) => counts(fingerprints, signer))) {
    return signature === undefined ? stdout : await readText(file);
  }
  const words = lines.filter((line) => line.startsWith('gpgv: ')).at(-1) ?? '';
  const why = signers.length > 0 && !wrong ? 'it is by another key' : words.replace('gpgv: ', '').replace(/^.*: /, '');
  throw new EngineError('remote.invalid', `The signature of ${what} is not by one of the archive's keys: ${why}.`, {
    details: { stderr: stderr.slice(-2000) },
    hint: 'Check Signed-By of the source, or whether its server can be trusted.',
  });
}

interface Signer {
  /** Fingerprint of the key that signed. */
  readonly own: string;
  /** Of the key that it is a subkey of, or its own. */
  readonly primary: string;
}

/** Who made the signatures that are good. gpgv calls those of expired and revoked keys valid, but not good. */
function signersOf(statuses: readonly string[]): readonly Signer[] {
  const signers: Signer[] = [];
  let good = false;
  for (const status of statuses) {
    const [word, own = '', ...rest] = status.split(' ');
    if (word === 'NEWSIG') good = false;
    if (word === 'GOODSIG') good = true;
    if (word === 'VALIDSIG' && good) signers.push({ own, primary: rest.at(-1) ?? own });
  }
  return signers;
}

function counts(fingerprints: readonly string[], { own, primary }: Signer): boolean {
  if (fingerprints.length === 0) return true;
  return fingerprints.some((one) => {
    const wanted = one.replace(/!$/, '').toUpperCase();
    return wanted === own || (!one.endsWith('!') && wanted === primary);
  });
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    throw diskError(error, file);
  });
}

const BEGIN = '-----BEGIN PGP SIGNED MESSAGE-----\n';

/** The text of an InRelease file whose signature nobody asks for (`Trusted: yes`). */
export function textOfUnchecked(content: string): string {
  if (!content.startsWith(BEGIN)) return content;
  const start = content.indexOf('\n\n') + 2;
  const end = content.indexOf('\n-----BEGIN PGP SIGNATURE-----', start);
  return content.slice(start, end === -1 ? content.length : end + 1).replace(/^- /gm, '');
}
