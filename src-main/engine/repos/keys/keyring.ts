import { writeFile } from 'node:fs/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { run } from '../../core/run.ts';

const ARMOR = /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([\s\S]*?)-----END PGP PUBLIC KEY BLOCK-----/g;

/** Public keys as gpgv reads them: armoured blocks (several may follow each other, with text around them) become bytes, others are kept. */
export function binaryKeys(content: Buffer, what: string): Buffer {
  const text = content.toString('latin1');
  if (!text.includes('-----BEGIN PGP')) return content;
  const blocks = [...text.matchAll(ARMOR)].map(([, body = '']) => {
    // Headers end at the first empty line, the checksum of the armour begins with "=".
    const [, data = body] = /^(?:[^\n]*:[^\n]*\r?\n)*\r?\n([\s\S]*)$/.exec(body) ?? [];
    const lines = data.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('='));
    return Buffer.from(lines.join(''), 'base64');
  });
  if (blocks.length === 0) throw new EngineError('input.invalid', `${what} holds no public key.`);
  return Buffer.concat(blocks);
}

/** Writes a keyring for gpgv. */
export async function writeKeyring(path: string, keys: readonly Buffer[]): Promise<void> {
  try {
    await writeFile(path, Buffer.concat(keys));
  } catch (error) {
    throw diskError(error, path);
  }
}

/**
 * Checks a detached signature of a file with gpgv. `remote.invalid` when it is not by one of the keys, with gpgv's own words; `what` is the
 * signed thing. `host.missing-tool`.
 */
export async function verifySignature(keyring: string, signature: string, file: string, what: string, signal?: AbortSignal): Promise<void> {
  const result = await run(['gpgv', '--keyring', keyring, signature, file], { signal, timeoutMs: 60_000 });
  if (result.code === 0) return;
  const said = result.stderr.split('\n').flatMap((line) => /^gpgv: (.*?)\.?$/.exec(line)?.[1] ?? []);
  // The last of what gpgv says is only that it failed where the signature is none.
  const words = said.find((line) => /BAD signature|No public key|no valid OpenPGP data|no signature/.test(line)) ?? said.at(-1) ?? '';
  throw new EngineError('remote.invalid', `The signature of ${what} is not by one of the repository's keys: ${words}.`, {
    details: { stderr: result.stderr.slice(-2000) },
    hint: 'Check the keys (gpgkey) of the repository, or whether its server can be trusted.',
  });
}
