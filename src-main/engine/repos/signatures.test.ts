import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { runChecked } from '../core/run.ts';
import type { RpmSection } from './definition/section.ts';
import { type RepositoryServer, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { packageWith, repositoryOf, rpmSection } from './rpm/repository.test-support.ts';
import { syncRepo } from './sync.ts';
import type { SyncResult } from './sync-result.ts';

const SPEC = `Name: tiny
Version: 1.0
Release: 1
Summary: tiny
License: MIT
BuildArch: noarch
%description
tiny
%files
`;

let dir: string;
let server: RepositoryServer;
let store: string;
/** Two keys, of which the repository names the first. */
const keys: string[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lago-keys-'));
  server = await startRepositoryServer();
  const home = join(dir, 'gpg');
  mkdirSync(home, { mode: 0o700 });
  const gpg = ['gpg', '--homedir', home, '--batch', '--pinentry-mode', 'loopback', '--passphrase', ''];
  for (const name of ['Ours', 'Other']) {
    await runChecked([...gpg, '--quick-gen-key', name, 'rsa2048', 'sign', 'never'], 'No key.');
    const { stdout } = await runChecked([...gpg, '--armor', '--export', name], 'No key.');
    keys.push(join(dir, `${name}.asc`));
    writeFileSync(join(dir, `${name}.asc`), stdout);
  }
  writeFileSync(join(dir, 'tiny.spec'), SPEC);
  const define = (name: string, value: string): readonly string[] => ['--define', `${name} ${value}`];
  await runChecked(
    ['rpmbuild', '-bb', '--quiet', ...define('_topdir', dir), ...define('_rpmdir', dir), join(dir, 'tiny.spec')],
    'No package.',
  );
  const built = join(dir, 'noarch/tiny-1.0-1.noarch.rpm');
  for (const name of ['Ours', 'Other']) {
    const signed = join(dir, `${name}.rpm`);
    writeFileSync(signed, readFileSync(built));
    const argv = [
      'rpmsign',
      ...define('__gpg', '/usr/bin/gpg'),
      ...define('_gpg_name', name),
      ...define('_gpg_path', home),
      '--addsign',
      signed,
    ];
    await runChecked(argv, 'Not signed.');
  }
  writeFileSync(join(dir, 'plain.rpm'), readFileSync(built));
}, 120_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await runChecked(['gpgconf', '--homedir', join(dir, 'gpg'), '--kill', 'gpg-agent'], 'The agent of gpg goes on.');
  rmSync(dir, { recursive: true });
});

beforeEach(() => {
  store = mkdtempSync(join(dir, 'store-'));
});

async function sync(more: Partial<RpmSection>): Promise<SyncResult> {
  return await syncRepo(rpmSection(server.url, { gpgKeys: [keys[0] ?? ''], ...more }), { store, log: silentLog, env: {}, backOffMs: 1 });
}

function filesFrom(...names: readonly string[]): Map<string, Buffer> {
  return new Map(repositoryOf(names.map((name) => packageWith(name, readFileSync(join(dir, `${name}.rpm`))))));
}

function stored(): readonly string[] {
  return readdirSync(join(store, 'tiny-el9/Packages')).toSorted();
}

describe('signatures of packages', () => {
  test('only packages that are signed by a key of the repository get into their place', async () => {
    server.serve(filesFrom('Ours', 'Other', 'plain'));
    const result = await sync({ gpgCheck: true });
    expect(stored()).toEqual(['Ours-1-1.noarch.rpm']);
    expect(result.problems).toEqual([
      expect.stringMatching(/^Other-1-1\.noarch: it is not signed by one of the repository's keys/),
      expect.stringMatching(/^plain-1-1\.noarch: it is not signed/),
    ]);
    expect(await sync({ gpgCheck: true, gpgKeys: keys })).toMatchObject({ packages: 2, problems: [expect.stringContaining('plain')] });
  });

  test('packages from before the check was asked for are checked too', async () => {
    server.serve(filesFrom('Ours', 'plain'));
    expect(await sync({})).toMatchObject({ packages: 2 });
    expect(await sync({ gpgCheck: true })).toMatchObject({ packages: 1, problems: [expect.stringContaining('plain')] });
    expect(stored()).toEqual(['Ours-1-1.noarch.rpm']);
  });

  test('a key that is missing, and one that is none, are named', async () => {
    server.serve(filesFrom('Ours'));
    await expect(sync({ gpgCheck: true, gpgKeys: ['/nonexistent/key'] })).rejects.toMatchObject({ code: 'input.missing-file' });
    await expect(sync({ gpgCheck: true, gpgKeys: [join(dir, 'tiny.spec')] })).rejects.toMatchObject({ code: 'input.invalid' });
  });
});

describe('the signature of the index', () => {
  async function signed(name: string): Promise<Map<string, Buffer>> {
    const files = filesFrom('plain');
    const path = join(dir, 'repomd.xml');
    writeFileSync(path, files.get('repodata/repomd.xml') ?? '');
    rmSync(`${path}.asc`, { force: true });
    const argv = ['gpg', '--homedir', join(dir, 'gpg'), '--batch', '--local-user', name, '--armor', '--detach-sign', path];
    await runChecked(argv, 'Not signed.');
    return files.set('repodata/repomd.xml.asc', readFileSync(`${path}.asc`));
  }

  test('is accepted when it is by a key of the repository, which may be at a URL', async () => {
    const files = await signed('Ours');
    server.serve(files.set('KEY', readFileSync(keys[0] ?? '')));
    expect(await sync({ repoGpgCheck: true })).toMatchObject({ packages: 1 });
    rmSync(store, { recursive: true });
    expect(await sync({ repoGpgCheck: true, gpgKeys: [`${server.url}KEY`] })).toMatchObject({ packages: 1 });
  });

  test.each([
    ['by another key', async () => await signed('Other'), /not by one of the repository's keys: Can't check signature: No public key\.$/],
    [
      'something else',
      async () => await Promise.resolve(filesFrom('plain').set('repodata/repomd.xml.asc', Buffer.from('<html>\n'))),
      /not by one of the repository's keys: no valid OpenPGP data found\.$/,
    ],
    ['missing', async () => await Promise.resolve(filesFrom('plain')), /has no signature/],
    [
      'of another index',
      async () => {
        const { 0: files, 1: other } = [filesFrom('Ours'), await signed('Ours')];
        return files.set('repodata/repomd.xml.asc', other.get('repodata/repomd.xml.asc') ?? Buffer.alloc(0));
      },
      /not by one of the repository's keys: BAD signature from "Ours.*"\.$/,
    ],
  ])('is refused when it is %s', async (_, files, message) => {
    server.serve(await files());
    await expect(sync({ repoGpgCheck: true })).rejects.toMatchObject({ code: 'remote.invalid', message: expect.stringMatching(message) });
  });
});
