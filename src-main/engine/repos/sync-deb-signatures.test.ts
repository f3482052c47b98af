import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { archiveFiles, debPackage, debSection, makeSigningKey, type SigningKey } from './deb/archive.test-support.ts';
import { readTrust } from './deb/trust.ts';
import type { DebSection } from './definition/section.ts';
import { type RepositoryServer, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { syncRepo } from './sync.ts';
import type { SyncResult } from './sync-result.ts';

let dir: string;
let store: string;
let server: RepositoryServer;
let ours: SigningKey;
let other: SigningKey;
/** Paths of keyrings. */
let oursAsc: string;
let otherAsc: string;
const files = archiveFiles([debPackage('a', '1')]);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lago-deb-keys-'));
  server = await startRepositoryServer();
  [ours, other] = [await makeSigningKey(join(dir, 'ours')), await makeSigningKey(join(dir, 'other'))];
  [oursAsc, otherAsc] = [join(dir, 'ours.asc'), join(dir, 'other.asc')];
  writeFileSync(oursAsc, ours.armoured);
  writeFileSync(otherAsc, other.armoured);
});

beforeEach(() => {
  store = mkdtempSync(join(dir, 'store-'));
  server.fail(undefined);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

async function sync(more: Partial<DebSection> = {}): Promise<SyncResult> {
  const section = debSection(server.url, { trusted: false, signedBy: [oursAsc], ...more });
  return await syncRepo(section, { store, log: silentLog, env: {}, backOffMs: 1 });
}

test.each<[string, () => readonly string[]]>([
  ['a keyring', () => [oursAsc]],
  ['several keyrings', () => [otherAsc, oursAsc]],
  ['the key itself', () => [ours.armoured]],
  ['a keyring and a fingerprint', () => [oursAsc, ours.fingerprint]],
])('an archive that is signed is taken with %s', async (_, signedBy) => {
  for (const how of ['inline', 'detached'] as const) {
    server.serve(await ours.sign(files, how));
    expect(await sync({ signedBy: signedBy() })).toMatchObject({ packages: 1 });
    rmSync(store, { recursive: true });
  }
});

test.each<[string, () => Promise<ReadonlyMap<string, Buffer>>, RegExp, Partial<DebSection>]>([
  ['by another key', async () => await other.sign(files), /is not by one of the archive's keys/, {}],
  ['by another key, beside it', async () => await other.sign(files, 'detached'), /is not by one of the archive's keys/, {}],
  ['by no key', async () => await Promise.resolve(files), /Release of the source tiny-debian12 has no signature/, {}],
  [
    'but not in InRelease',
    async () => await Promise.resolve(new Map([...files, ['dists/test/InRelease', files.get('dists/test/Release') ?? Buffer.alloc(0)]])),
    /is not by one of the archive's keys/,
    {},
  ],
  ['by a key that is not the one that counts', async () => await ours.sign(files), /it is by another key/, { signedBy: ['0'.repeat(40)] }],
])('an archive that is signed %s is refused, and nothing of it is fetched', async (_, signed, message, more) => {
  server.serve(await signed());
  server.requests.length = 0;
  const signedBy = more.signedBy === undefined ? [oursAsc] : [oursAsc, ...more.signedBy];
  await expect(sync({ signedBy })).rejects.toMatchObject({ code: 'remote.invalid', message: expect.stringMatching(message) });
  expect(server.requests.filter((path) => !/(?:InRelease|Release|Release\.gpg)$/.test(path))).toEqual([]);
});

test('a Release file that was changed on its way is read again, and refused if it stays so', async () => {
  const signed = await ours.sign(files);
  const changed = (signed.get('dists/test/InRelease') ?? Buffer.alloc(0)).toString().replace('Suite: test', 'Suite: tess');
  server.serve(new Map([...signed, ['dists/test/InRelease', Buffer.from(changed)]]));
  await expect(sync()).rejects.toMatchObject({ code: 'remote.invalid' });
  let times = 0;
  server.watch(() => {
    if (++times === 2) server.serve(signed);
  });
  expect(await sync()).toMatchObject({ packages: 1 });
  server.watch(undefined);
});

test.each([
  ['longer', ['a'], ['a', 'b']],
  ['shorter', ['a', 'b'], ['a']],
])('an index that stays wrong, since it is %s now, is asked for again only a few times', async (_, old, now) => {
  const signed = async (names: readonly string[]) => await ours.sign(archiveFiles(names.map((name) => debPackage(name, '1'))));
  const [before, after] = [await signed(old), await signed(now)];
  const stale = before.get('dists/test/InRelease') ?? Buffer.alloc(0);
  let reads = 0;
  server.serve(after);
  server.requests.length = 0;
  server.watch((request) => {
    if (request.url?.endsWith('InRelease') === true)
      server.serve(++reads === 1 ? new Map([...after, ['dists/test/InRelease', stale]]) : after);
  });
  expect(await sync()).toMatchObject({ packages: now.length });
  server.watch(undefined);
  expect(server.requests.filter((path) => path.endsWith('Packages.gz')).length).toBeLessThanOrEqual(4);
});

test('nothing but InRelease is asked for when nothing has changed, and with other keys it is checked again', async () => {
  server.serve(await ours.sign(files));
  await sync();
  server.requests.length = 0;
  expect(await sync()).toMatchObject({ kept: 1, fetched: { packages: 0 } });
  expect(server.requests).toEqual(['dists/test/InRelease']);
  await expect(sync({ signedBy: [otherAsc] })).rejects.toMatchObject({ code: 'remote.invalid' });
  expect(await sync({ signedBy: [otherAsc], trusted: true })).toMatchObject({ packages: 1, fetched: { packages: 0 } });
  server.serve(files);
  await expect(sync()).rejects.toMatchObject({ message: expect.stringContaining('has no signature') });
});

test('an archive that is out of date is refused, also when it has not changed, unless that is not asked for', async () => {
  const until = (time: number): string => `Valid-Until: ${new Date(time).toUTCString()}\n`;
  const old = archiveFiles([debPackage('a', '1')], { fields: until(Date.now() - 60_000) });
  server.serve(await ours.sign(old));
  await expect(sync()).rejects.toMatchObject({ code: 'remote.invalid', message: expect.stringContaining('was valid until') });
  expect(await sync({ checkValidUntil: false })).toMatchObject({ packages: 1 });
  await expect(sync()).rejects.toMatchObject({ message: expect.stringContaining('was valid until') });
  server.serve(await ours.sign(archiveFiles([], { fields: until(Date.now() + 60_000) })));
  expect(await sync()).toMatchObject({ packages: 0, removed: ['pool/main/a_1_amd64.deb'] });
});

test('keys that cannot be used are named', async () => {
  const none = join(dir, 'none.gpg');
  await expect(sync({ signedBy: [none] })).rejects.toMatchObject({ code: 'input.missing-file', message: expect.stringContaining(none) });
  const text = join(dir, 'text.gpg');
  writeFileSync(text, 'no key');
  await expect(sync({ signedBy: [text] })).rejects.toMatchObject({ code: 'input.invalid', message: expect.stringContaining(text) });
});

test('without Signed-By, the keyrings of the machine count', async () => {
  const root = mkdtempSync(join(dir, 'root-'));
  const section = debSection('http://x/', { trusted: false });
  await expect(readTrust(section, root)).rejects.toMatchObject({ code: 'input.invalid' });
  for (const path of ['etc/apt/trusted.gpg.d', 'usr/share/keyrings']) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'etc/apt/trusted.gpg.d/ours.asc'), ours.armoured);
  writeFileSync(join(root, 'etc/apt/trusted.gpg.d/box.gpg'), '\0\0\0\x20\x01\x01\0\x02KBXf');
  writeFileSync(join(root, 'etc/apt/trusted.gpg.d/notes.txt'), other.armoured);
  writeFileSync(join(root, 'usr/share/keyrings/vendor.gpg'), other.armoured);
  const one = await readTrust(section, root);
  expect(one?.keys).toEqual((await readTrust({ ...section, signedBy: [oursAsc] }))?.keys);
  writeFileSync(join(root, 'usr/share/keyrings/debian-archive-keyring.gpg'), other.armoured);
  const both = await readTrust({ ...section, signedBy: [ours.fingerprint] }, root);
  expect(both).toMatchObject({ fingerprints: [ours.fingerprint], keys: { length: 2 } });
  expect(await readTrust({ ...section, trusted: true }, root)).toBeUndefined();
});
