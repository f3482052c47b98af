import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { runChecked } from '../core/run.ts';
import { type NocloudSeed, nocloudFiles, nocloudSeed } from './cloud-init.ts';
import { sha512Crypt } from './sha512-crypt.ts';

const seed: NocloudSeed = {
  hostname: 'web',
  instanceId: '1234-web',
  publicKey: 'ssh-ed25519 AAAA me\n',
  rootPassword: 'pa"ss',
  salt: 'salt',
};

function read(over: Partial<NocloudSeed> = {}): {
  files: Record<string, string>;
  user: Record<string, unknown>;
  meta: Record<string, unknown>;
} {
  const files = Object.fromEntries(nocloudFiles({ ...seed, ...over }).map(({ name, content }) => [name, String(content)]));
  return {
    files,
    user: parse(files['user-data'] ?? '') as Record<string, unknown>,
    meta: parse(files['meta-data'] ?? '') as Record<string, unknown>,
  };
}

test('a seed sets the host name and allows root login by key and password', () => {
  const { files, user, meta } = read();
  expect(files['user-data']?.split('\n')[0]).toBe('#cloud-config');
  expect(meta).toEqual({ 'instance-id': '1234-web', 'local-hostname': 'web' });
  expect(user).toMatchObject({
    hostname: 'web',
    disable_root: false,
    ssh_pwauth: true,
    users: ['default', { name: 'root', lock_passwd: false, ssh_authorized_keys: ['ssh-ed25519 AAAA me'] }],
    chpasswd: {
      expire: false,
      users: [{ name: 'root', type: 'hash', password: sha512Crypt('pa"ss', 'salt') }],
      list: `root:${sha512Crypt('pa"ss', 'salt')}\n`,
    },
  });
});

test('the password is nowhere in the image', () => {
  const image = Buffer.from(nocloudSeed({ ...seed, rootPassword: 'correct horse' }));
  expect(image.includes('correct horse')).toBe(false);
  expect(image.includes(sha512Crypt('correct horse', 'salt'))).toBe(true);
});

test('without a password root keeps the template’s', () => {
  expect(read({ rootPassword: undefined }).user).not.toHaveProperty('chpasswd');
});

test.each([
  ['a password that is for ssh too', { sshByPassword: true }, true],
  ['a password for the console', {}, false],
  ['no password', { sshByPassword: true, rootPassword: undefined }, false],
  ['user data that disables root', { sshByPassword: true, userData: { disable_root: true } }, false],
  ['user data that disables passwords', { sshByPassword: true, userData: { ssh_pwauth: false } }, false],
])('sshd is told to let root in by password: %s', (_, over, told) => {
  expect(Object.keys(read(over).files).includes('vendor-data')).toBe(told);
});

const LINE = 'PermitRootLogin yes\n';
const INCLUDE = 'Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin no\n';

test.each([
  [
    'a folder that the main file includes',
    { 'sshd_config.d/50-cloud.conf': '', sshd_config: INCLUDE },
    'sshd_config.d/00-root-password.conf',
    LINE,
  ],
  ['a folder, and the main file in /usr', { 'sshd_config.d/50-cloud.conf': '' }, 'sshd_config.d/00-root-password.conf', LINE],
  [
    'a folder that nothing includes',
    { 'sshd_config.d/x.conf': '', sshd_config: '#Include\nPort 22\n' },
    'sshd_config',
    `${LINE}#Include\nPort 22\n`,
  ],
  ['no folder', { sshd_config: 'PermitRootLogin no\n' }, 'sshd_config', `${LINE}PermitRootLogin no\n`],
])('the boot hook comes before what sshd is told otherwise: %s', async (_, present, path, content) => {
  const etc = await mkdtemp(join(tmpdir(), 'lago-sshd-'));
  try {
    for (const [name, text] of Object.entries(present)) {
      await mkdir(dirname(join(etc, name)), { recursive: true });
      await writeFile(join(etc, name), text);
    }
    const hook = read({ sshByPassword: true }).files['vendor-data'] ?? '';
    expect(hook).toMatch(/^#cloud-boothook\n#!\/bin\/sh\n/);
    // cloud-init runs it at each boot.
    for (const boot of ['first', 'second']) {
      await runChecked(['sh', '-eu', '-c', hook.replace('config=/etc/ssh/', `config=${etc}/`)], `The ${boot} run failed.`);
    }
    expect(await readFile(join(etc, path), 'utf8')).toBe(content);
  } finally {
    await rm(etc, { recursive: true });
  }
});

test('boot scripts run one after another, each on its own', async () => {
  const bootScripts = ['name=first\necho $name\nexit 1\n', 'echo "second $name"\n'];
  expect(read({ sshByPassword: true, bootScripts }).files['vendor-data']).toContain('PermitRootLogin');
  const scripts = read({ bootScripts }).files['vendor-data'] ?? '';
  expect(scripts).not.toContain('PermitRootLogin');
  expect((await runChecked(['sh', '-c', scripts], 'The scripts failed.')).stdout).toBe('first\nsecond \n');
});

test('the user’s own mappings are merged into the defaults', () => {
  const { user, meta, files } = read({
    userData: { ssh_pwauth: false, chpasswd: { expire: true }, packages: ['nginx'], ssh_genkeytypes: null },
    metaData: { 'instance-id': 'mine', extra: { a: 1 } },
    networkConfig: { version: 2 },
  });
  expect(user).toMatchObject({
    ssh_pwauth: false,
    chpasswd: { expire: true, users: [{ name: 'root' }] },
    packages: ['nginx'],
    hostname: 'web',
  });
  expect(user).not.toHaveProperty('ssh_genkeytypes');
  expect(meta).toEqual({ 'instance-id': 'mine', 'local-hostname': 'web', extra: { a: 1 } });
  expect(files['network-config']).toBe('version: 2\n');
});

test('a user’s mapping cannot reach the prototype', () => {
  read({ userData: JSON.parse('{"__proto__": {"polluted": 1}, "chpasswd": {"__proto__": {"polluted": 1}}}') as Record<string, unknown> });
  expect({}).not.toHaveProperty('polluted');
});

test('a long key stays on one line, for simple readers', () => {
  const publicKey = `ssh-rsa ${'A'.repeat(700)} someone at somewhere`;
  expect(read({ publicKey }).files['user-data']).toContain(`- ${publicKey}\n`);
});

test('the same seed gives the same bytes, with a new salt each time by default', () => {
  expect(nocloudSeed(seed)).toEqual(nocloudSeed(seed));
  const { salt: _, ...random } = seed;
  expect(nocloudSeed(random)).not.toEqual(nocloudSeed(random));
});

test.each(['Hello world!', 'a', 'x'.repeat(63), 'y'.repeat(64), 'z'.repeat(65), 'ünï'.repeat(40), '0123456789abcdef'.repeat(12)])(
  'crypt of %j is openssl’s',
  async (password) => {
    const { stdout } = await runChecked(['openssl', 'passwd', '-6', '-salt', 'Ab./9', '-stdin'], 'openssl failed.', {
      input: `${password}\n`,
    });
    expect(sha512Crypt(password, 'Ab./9')).toBe(stdout.trim());
  },
);
