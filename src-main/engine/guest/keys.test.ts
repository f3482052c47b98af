import { generateKeyPairSync } from 'node:crypto';
import { lstat, mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateEd25519, makePrefixKey, readPrefixKey } from './keys.ts';

let prefix: string;
beforeEach(async () => {
  prefix = await mkdtemp(join(tmpdir(), 'lago-keys-'));
});
afterEach(async () => {
  await rm(prefix, { recursive: true });
});

function parsed(text: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

describe('makePrefixKey', () => {
  test('writes a private 0600 OpenSSH key, its public line and Lago’s names', async () => {
    const key = await makePrefixKey(prefix, 'lago-test');
    expect(key.path).toBe(join(prefix, 'id_ed25519'));
    expect((await stat(key.path)).mode & 0o777).toBe(0o600);
    expect(await readFile(key.path, 'utf8')).toBe(key.privateKey);
    expect(key.privateKey.startsWith('-----BEGIN OPENSSH PRIVATE KEY-----\n')).toBe(true);
    expect(await readFile(`${key.path}.pub`, 'utf8')).toBe(`${key.publicKey}\n`);
    expect(key.publicKey).toMatch(/^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\S+ lago-test$/);
    expect(await readlink(join(prefix, 'id_rsa'))).toBe('id_ed25519');
    expect(await readlink(join(prefix, 'id_rsa.pub'))).toBe('id_ed25519.pub');
  });

  test('keeps an existing pair and repairs the links', async () => {
    const first = await makePrefixKey(prefix, 'one');
    await rm(join(prefix, 'id_rsa'));
    await rm(join(prefix, 'id_rsa.pub'));
    await writeFile(join(prefix, 'id_rsa.pub'), 'left over');
    const second = await makePrefixKey(prefix, 'two');
    expect(second).toEqual(first);
    expect((await lstat(join(prefix, 'id_rsa.pub'))).isSymbolicLink()).toBe(true);
  });

  test('a comment cannot add a second line', async () => {
    const key = await makePrefixKey(prefix, 'a\nssh-rsa AAAA evil');
    expect(key.publicKey.split('\n')).toHaveLength(1);
  });
});

test('generated pairs sign and verify, also with leading zero bytes', async () => {
  for (let n = 0; n < 600; n++) {
    const pair = await generateEd25519(`key ${n}`);
    const secret = parsed(pair.privateKey);
    const open = parsed(pair.publicKey);
    const data = Buffer.from('signed');
    const signature = secret.sign(data);
    if (open.verify(data, signature) !== true) throw new Error(`pair ${n} does not verify: ${pair.publicKey}`);
    expect(secret.getPublicSSH().equals(open.getPublicSSH())).toBe(true);
    expect(secret.comment).toBe(`key ${n}`);
  }
});

describe('readPrefixKey', () => {
  test('prefers our key to the one with Lago’s name', async () => {
    const key = await makePrefixKey(prefix, 'ours');
    await rm(join(prefix, 'id_rsa'));
    await writeFile(
      join(prefix, 'id_rsa'),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }),
    );
    expect(await readPrefixKey(prefix)).toEqual(key);
  });

  for (const type of ['pkcs1', 'pkcs8'] as const) {
    test(`reads Lago’s RSA key as ${type} PEM`, async () => {
      const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
      await writeFile(join(prefix, 'id_rsa'), pair.privateKey.export({ type, format: 'pem' }));
      const key = await readPrefixKey(prefix);
      expect(key.path).toBe(join(prefix, 'id_rsa'));
      const secret = parsed(key.privateKey);
      expect(secret.isPrivateKey()).toBe(true);
      expect(key.publicKey).toBe(`ssh-rsa ${secret.getPublicSSH().toString('base64')}`);
    });
  }

  test('reads an RSA key in OpenSSH form with its .pub line', async () => {
    const pair = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048, comment: 'root@lago' });
    await writeFile(join(prefix, 'id_rsa'), pair.private);
    await writeFile(join(prefix, 'id_rsa.pub'), `${pair.public}\n`);
    const key = await readPrefixKey(prefix);
    expect(key.publicKey).toBe(pair.public);
    expect(parsed(key.privateKey).type).toBe('ssh-rsa');
  });

  test('ignores a .pub file of another key', async () => {
    const key = await makePrefixKey(prefix, 'ours');
    await writeFile(`${key.path}.pub`, (await generateEd25519('other')).publicKey);
    expect((await readPrefixKey(prefix)).publicKey).toBe(key.publicKey);
  });

  test('reports a missing, damaged, public or locked key', async () => {
    await expect(readPrefixKey(prefix)).rejects.toMatchObject({ code: 'input.missing-file' });
    await writeFile(join(prefix, 'id_rsa'), 'nonsense');
    await expect(readPrefixKey(prefix)).rejects.toMatchObject({ code: 'input.invalid' });
    await writeFile(join(prefix, 'id_rsa'), (await generateEd25519('x')).publicKey);
    await expect(readPrefixKey(prefix)).rejects.toMatchObject({ code: 'input.invalid' });
    const locked = ssh2.utils.generateKeyPairSync('ed25519', { passphrase: 'secret', cipher: 'aes256-cbc', rounds: 1 });
    await writeFile(join(prefix, 'id_rsa'), locked.private);
    await expect(readPrefixKey(prefix)).rejects.toMatchObject({ code: 'input.invalid' });
    await writeFile(join(prefix, 'id_rsa'), '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    await expect(readPrefixKey(prefix)).rejects.toMatchObject({ code: 'input.invalid' });
  });
});
