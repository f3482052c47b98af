import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import type { DebSection } from '../definition/section.ts';
import { binaryKeys } from '../keys/keyring.ts';

/** What signatures of an archive are checked with. */
export interface Trust {
  /** Public keys in binary form. */
  readonly keys: readonly Buffer[];
  /** Only these of them count, by fingerprint; with none each does. */
  readonly fingerprints: readonly string[];
  /** Changes with the keys and fingerprints. */
  readonly digest: string;
}

/** Keyrings of distributions, and those that this machine's apt trusts. */
const MACHINE = ['/etc/apt/trusted.gpg', '/etc/apt/trusted.gpg.d'];
const DISTRIBUTIONS = ['debian', 'ubuntu'].flatMap((name) =>
  ['gpg', 'pgp'].map((end) => `/usr/share/keyrings/${name}-archive-keyring.${end}`),
);

/**
 * The keys of a source: those that Signed-By names or holds, else those of this machine, which may be below another root. Undefined when it
 * is trusted without. `input.missing-file` for a keyring that does not exist, `input.invalid` for one that is none, or when there is no key.
 */
export async function readTrust(section: Pick<DebSection, 'id' | 'signedBy' | 'trusted'>, root = '/'): Promise<Trust | undefined> {
  const { id, signedBy, trusted } = section;
  if (trusted) return undefined;
  const fingerprints = signedBy.filter((one) => /^[0-9a-f]{40,64}!?$/i.test(one));
  const named = signedBy.filter((one) => !fingerprints.includes(one));
  const keys = named.length > 0 ? await Promise.all(named.map(async (one) => await namedKeys(one, id))) : await machineKeys(root);
  if (keys.length === 0) {
    throw new EngineError('input.invalid', `There is no key to check the source ${id} with.`, {
      hint: 'Name its keyring in Signed-By, install the keyring of its distribution (debian-archive-keyring), or write Trusted: yes.',
    });
  }
  const hash = createHash('sha256').update(fingerprints.join(' '));
  for (const key of keys) hash.update(key);
  return { keys, fingerprints, digest: hash.digest('hex') };
}

/** A keyring by its path, or the keys themselves. */
async function namedKeys(signedBy: string, id: string): Promise<Buffer> {
  if (signedBy.startsWith('-----BEGIN PGP')) return binaryKeys(Buffer.from(signedBy), `Signed-By of the source ${id}`);
  const content = await readIfThere(signedBy);
  if (content === undefined) {
    throw new EngineError('input.missing-file', `The keyring ${signedBy} of the source ${id} does not exist.`, {
      hint: 'Check Signed-By of the source: it has paths, fingerprints, or a key.',
    });
  }
  if (!isKeyring(content)) {
    throw new EngineError('input.invalid', `The keyring ${signedBy} of the source ${id} is none that gpgv can read.`, {
      hint: 'Export it: gpg --export --output KEYRING.gpg',
    });
  }
  return binaryKeys(content, signedBy);
}

async function machineKeys(root: string): Promise<readonly Buffer[]> {
  const paths: string[] = [];
  for (const path of [...MACHINE, ...DISTRIBUTIONS].map((one) => join(root, one))) paths.push(...(await keyringsAt(path)));
  const contents = await Promise.all(paths.map(async (path) => await readIfThere(path)));
  // apt passes over other files too.
  return contents.flatMap((content, at) => (content !== undefined && isKeyring(content) ? [binaryKeys(content, paths[at] ?? '')] : []));
}

async function keyringsAt(path: string): Promise<readonly string[]> {
  if (!path.endsWith('.d')) return [path];
  try {
    const names = await readdir(path);
    return names
      .filter((name) => /\.(?:gpg|asc)$/.test(name))
      .toSorted()
      .map((name) => join(path, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw diskError(error, path);
  }
}

/** Armoured, or beginning with a public key; not a key box of gpg's own, for example. */
function isKeyring(content: Buffer): boolean {
  return content.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----') || [0x98, 0x99, 0xc6].includes(content[0] ?? 0);
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw diskError(error, path);
  }
}
