import { createPrivateKey, generateKeyPair, randomBytes } from 'node:crypto';
import { readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError, writeFileAtomic } from '../core/files/json-file.ts';

/** The key pair for logging in to a prefix's VMs. */
export interface PrefixKey {
  /** Absolute path of the private key, for programs that want a file (`ssh -i`). */
  readonly path: string;
  /** The private key as text, in a form that ssh2 and OpenSSH read. Secret: never logged. */
  readonly privateKey: string;
  /** One line as in `authorized_keys`, without a newline. */
  readonly publicKey: string;
}

const ED25519 = 'ssh-ed25519';
const NAME = 'id_ed25519';
/** Lago's name of the key, used by scripts and old prefixes. */
const LAGO_NAME = 'id_rsa';

/**
 * Creates the prefix's ed25519 key pair in OpenSSH form: `id_ed25519` (0600) and `id_ed25519.pub`, with the symbolic links `id_rsa` and
 * `id_rsa.pub` beside them for scripts that use Lago's names. An existing pair (from an interrupted create) is kept. `comment` ends the
 * public key's line. Throws `host.no-space` or `host.denied` when it cannot be written.
 */
export async function makePrefixKey(prefixPath: string, comment: string): Promise<PrefixKey> {
  const existing = await readPair(prefixPath, NAME);
  const key = existing ?? (await writePair(prefixPath, comment));
  await link(NAME, join(prefixPath, LAGO_NAME));
  await link(`${NAME}.pub`, join(prefixPath, `${LAGO_NAME}.pub`));
  return key;
}

/**
 * Reads the key of a prefix: ours, or Lago's RSA key (OpenSSH, PKCS#1 or PKCS#8 PEM). Throws `input.missing-file` when there is none and
 * `input.invalid` when it is damaged or has a passphrase.
 */
export async function readPrefixKey(prefixPath: string): Promise<PrefixKey> {
  const key = (await readPair(prefixPath, NAME)) ?? (await readPair(prefixPath, LAGO_NAME));
  if (key !== undefined) return key;
  throw new EngineError('input.missing-file', `The environment at ${prefixPath} has no ssh key (${NAME} or ${LAGO_NAME}).`, {
    details: { path: prefixPath },
    hint: 'Put the key back, or set ssh-password for the VMs.',
  });
}

async function writePair(prefixPath: string, comment: string): Promise<PrefixKey> {
  const { privateKey, publicKey } = await generateEd25519(comment.replaceAll(/[\r\n]/g, ' '));
  const path = join(prefixPath, NAME);
  // The public half first: after an interruption a private key without it would be kept, incomplete.
  await writeFileAtomic(`${path}.pub`, `${publicKey}\n`, 0o644);
  await writeFileAtomic(path, privateKey, 0o600);
  return { path, privateKey, publicKey };
}

async function readPair(prefixPath: string, name: string): Promise<PrefixKey | undefined> {
  const path = join(prefixPath, name);
  const text = await readText(path);
  if (text === undefined) return undefined;
  const privateKey = text.includes('-----BEGIN PRIVATE KEY-----') ? toPkcs1(text, path) : text;
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw damaged(path, parsed);
  if (!parsed.isPrivateKey()) throw damaged(path, new Error('it is a public key'));
  const line = (await readText(`${path}.pub`))?.trim();
  const derived = `${parsed.type} ${parsed.getPublicSSH().toString('base64')}`;
  // A .pub file of a different key would lock us out of VMs created with it.
  const publicKey = line?.startsWith(derived) ? line : `${derived} ${parsed.comment}`.trimEnd();
  return { path, privateKey, publicKey };
}

/** ssh2 does not read PKCS#8, which OpenSSL writes by default. */
function toPkcs1(text: string, path: string): string {
  try {
    return createPrivateKey(text).export({ type: 'pkcs1', format: 'pem' }).toString();
  } catch (error) {
    throw damaged(path, error);
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, path);
  }
}

function damaged(path: string, cause: unknown): EngineError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EngineError('input.invalid', `The ssh key ${path} cannot be used: ${reason}.`, {
    cause,
    details: { path },
    hint: 'Restore it from a backup; keys with a passphrase are not supported.',
  });
}

async function link(target: string, path: string): Promise<void> {
  try {
    await symlink(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, path);
    await rm(path);
    await symlink(target, path);
  }
}

/**
 * An ed25519 pair in OpenSSH form (PROTOCOL.key of OpenSSH). Generated here because `ssh2.utils.generateKeyPair` 1.17 drops a leading zero
 * byte of the key: about one pair in 150 is broken.
 */
export async function generateEd25519(comment: string): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const pair = await promisify(generateKeyPair)('ed25519');
  const jwk = pair.privateKey.export({ format: 'jwk' });
  const publicBytes = Buffer.from(jwk.x ?? '', 'base64url');
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const publicBlob = Buffer.concat([field(ED25519), field(publicBytes)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    field(ED25519),
    field(publicBytes),
    field(Buffer.concat([seed, publicBytes])),
    field(comment),
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (secret.length % 8)) % 8));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(publicBlob),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${ED25519} ${publicBlob.toString('base64')} ${comment}`.trimEnd(),
  };
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
