import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readSignedRelease, type SignedRelease, textOfUnchecked } from './signed-release.ts';

// InRelease is signed with both keys, Release.gpg with the first.
const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', name);
const ONE = '615AA78DF264DE07EA455D6E3D5FC3EB0DF1EBD3';
const TWO = '38D05ACFB6D8A90B90FBC4B55C0F99B55D3EFAF2';
const text = readFileSync(fixture('Release'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'signed-release-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function given(change: Partial<SignedRelease> = {}): SignedRelease {
  return { file: fixture('InRelease'), keyring: fixture('one.gpg'), fingerprints: [], what: 'InRelease', ...change };
}

function changed(name: string, from: string, to: string): string {
  const path = join(folder, name);
  writeFileSync(path, readFileSync(fixture(name), 'utf8').replace(from, to));
  return path;
}

test.each([
  ['the first key', {}],
  ['the second key', { keyring: fixture('two.gpg') }],
  ['a key by its fingerprint', { fingerprints: [ONE.toLowerCase()] }],
  ['exactly this key', { fingerprints: [`${ONE}!`] }],
  ['a detached signature', { file: fixture('Release'), signature: fixture('Release.gpg') }],
])('%s is enough', async (_, change) => {
  expect(await readSignedRelease(given(change))).toBe(text);
});

test.each<[string, () => Partial<SignedRelease>]>([
  ['a changed text', () => ({ file: changed('InRelease', 'Suite: test', 'Suite: tess') })],
  ['a key whose fingerprint was not named', () => ({ fingerprints: [TWO] })],
  ['a detached signature of another text', () => ({ file: changed('Release', 'test', 'tess'), signature: fixture('Release.gpg') })],
  ['a signature by another key', () => ({ file: fixture('Release'), signature: fixture('Release.gpg'), keyring: fixture('two.gpg') })],
  ['no signature', () => ({ file: fixture('Release') })],
])('%s is refused', async (_, change) => {
  await expect(readSignedRelease(given(change()))).rejects.toMatchObject({ code: 'remote.invalid' });
});

test('text around what is signed does not count', async () => {
  const path = join(folder, 'around');
  writeFileSync(path, `Suite: evil\n${readFileSync(fixture('InRelease'), 'utf8')}Suite: evil\n`);
  expect(await readSignedRelease(given({ file: path }))).toBe(text);
});

test('without checking, the text is the same', () => {
  expect(textOfUnchecked(readFileSync(fixture('InRelease'), 'utf8'))).toBe(text);
  expect(textOfUnchecked(text)).toBe(text);
});
