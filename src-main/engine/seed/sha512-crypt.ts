import { createHash, randomBytes } from 'node:crypto';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ROUNDS = 5000;

/**
 * Hashes a password for `/etc/shadow` of any Linux: `$6$SALT$HASH` by Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512" with the
 * default 5000 rounds. `salt`: 1 to 16 characters of `./0-9A-Za-z`, random by default.
 */
export function sha512Crypt(password: string, salt: string = randomSalt()): string {
  const key = Buffer.from(password, 'utf8');
  const seed = Buffer.from(salt.slice(0, 16), 'latin1');
  const alternate = digest(key, seed, key);
  const first = createHash('sha512').update(key).update(seed).update(repeat(alternate, key.length));
  for (let length = key.length; length > 0; length >>= 1) first.update(length % 2 === 1 ? alternate : key);
  let result = first.digest();

  const p = repeat(digest(...Array.from({ length: key.length }, () => key)), key.length);
  const s = repeat(digest(...Array.from({ length: 16 + (result[0] ?? 0) }, () => seed)), seed.length);
  for (let round = 0; round < ROUNDS; round++) {
    const hash = createHash('sha512').update(round % 2 === 1 ? p : result);
    if (round % 3 !== 0) hash.update(s);
    if (round % 7 !== 0) hash.update(p);
    result = hash.update(round % 2 === 1 ? result : p).digest();
  }
  return `$6$${seed.toString('latin1')}$${encode(result)}`;
}

function randomSalt(): string {
  return Array.from(randomBytes(16), (byte) => ALPHABET[byte % 64]).join('');
}

function digest(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Repeats `block` up to `length` bytes. */
function repeat(block: Buffer, length: number): Buffer {
  const result = Buffer.alloc(length);
  for (let at = 0; at < length; at += block.length) block.copy(result, at);
  return result;
}

/** Takes three bytes at a time, one from each third in rotating order, least significant six bits first. */
function encode(bytes: Buffer): string {
  let text = '';
  const put = (value: number, characters: number): void => {
    for (let index = 0; index < characters; index++) text += ALPHABET[(value >> (6 * index)) & 63];
  };
  for (let index = 0; index < 21; index++) {
    const thirds = [index, index + 21, index + 42];
    const turned = [0, 1, 2].map((offset) => bytes[thirds[(index + offset) % 3] ?? 0] ?? 0);
    put(((turned[0] ?? 0) << 16) | ((turned[1] ?? 0) << 8) | (turned[2] ?? 0), 4);
  }
  put(bytes[63] ?? 0, 2);
  return text;
}
