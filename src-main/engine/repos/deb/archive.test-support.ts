import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { runChecked } from '../../core/run.ts';
import type { DebSection } from '../definition/section.ts';

/** A package with invented content, whose index entry may have more fields. */
export interface InventedDeb {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  /** Below the archive. */
  readonly path: string;
  readonly content: Buffer;
  readonly more: string;
}

/** A package; its content is random, so that no two have the same. `more`: lines of its entry, such as `Depends: b`. */
export function debPackage(name: string, version: string, more = '', arch = 'amd64', size = 300): InventedDeb {
  return { name, version, arch, path: `pool/main/${name}_${version}_${arch}.deb`, content: randomBytes(size), more };
}

export function packagesText(debs: readonly InventedDeb[]): string {
  return debs
    .map(({ name, version, arch, path, content, more }) => {
      const own = more === '' ? '' : `${more}\n`;
      return `Package: ${name}\nVersion: ${version}\nArchitecture: ${arch}\n${own}Filename: ${path}\nSize: ${content.length}\nSHA256: ${sha256(content)}\nDescription: about\n more of it\n`;
    })
    .join('\n');
}

export interface ArchiveShape {
  /** Indexes by their path below the Release file; by default one of main for amd64. */
  readonly indexes?: ReadonlyMap<string, Buffer>;
  /** More lines of the Release file. */
  readonly fields?: string;
  /** Folder of the Release file. */
  readonly at?: string;
}

/** Files of an archive by their paths, with a Release file that is not signed. */
export function archiveFiles(debs: readonly InventedDeb[], { indexes, fields = '', at = 'dists/test/' }: ArchiveShape = {}) {
  const listed = indexes ?? new Map([['main/binary-amd64/Packages.gz', gzipSync(packagesText(debs))]]);
  const lines = [...listed].map(([path, content]) => ` ${sha256(content)} ${content.length} ${path}\n`);
  const release = `Suite: test\nCodename: tester\nComponents: main\nArchitectures: amd64\n${fields}SHA256:\n${lines.join('')}`;
  return new Map([
    ...debs.map(({ path, content }): [string, Buffer] => [path, content]),
    ...[...listed].map(([path, content]): [string, Buffer] => [`${at}${path}`, content]),
    [`${at}Release`, Buffer.from(release)] as [string, Buffer],
  ]);
}

/** A key pair in a folder of its own. */
export interface SigningKey {
  readonly armoured: string;
  readonly fingerprint: string;
  /** Signs the Release file of an archive: in it, or beside it. */
  sign(files: ReadonlyMap<string, Buffer>, how?: 'inline' | 'detached', at?: string): Promise<Map<string, Buffer>>;
}

export async function makeSigningKey(home: string): Promise<SigningKey> {
  mkdirSync(home, { mode: 0o700 });
  const gpg = ['gpg', '--homedir', home, '--batch', '--quiet', '--yes', '--pinentry-mode', 'loopback', '--passphrase', ''];
  await runChecked([...gpg, '--quick-gen-key', 'Archive', 'ed25519', 'sign', 'never'], 'No key.');
  const { stdout: armoured } = await runChecked([...gpg, '--armor', '--export'], 'No key.');
  const { stdout: listed } = await runChecked([...gpg, '--with-colons', '--list-keys'], 'No key.');
  return {
    armoured,
    fingerprint: /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '',
    async sign(files, how = 'inline', at = 'dists/test/') {
      const [plain, signed] = [join(home, 'Release'), join(home, 'Release.signed')];
      writeFileSync(plain, files.get(`${at}Release`) ?? '');
      const option = how === 'inline' ? '--clear-sign' : '--detach-sign';
      await runChecked([...gpg, '--armor', option, '--output', signed, plain], 'Not signed.');
      const all = new Map(files);
      if (how === 'inline') all.delete(`${at}Release`);
      return all.set(`${at}${how === 'inline' ? 'InRelease' : 'Release.gpg'}`, readFileSync(signed));
    },
  };
}

/** A source that asks for no signature, and for nothing special else. */
export function debSection(uri: string, more: Partial<DebSection> = {}): DebSection {
  return {
    kind: 'deb',
    id: 'tiny-debian12',
    name: 'tiny',
    file: 'test.sources',
    line: 1,
    enabled: true,
    maxConnections: 4,
    connection: { sslVerify: true, retries: 2 },
    uri,
    suite: 'test',
    components: ['main'],
    architectures: [],
    signedBy: [],
    trusted: true,
    packages: [],
    excludes: [],
    checkValidUntil: true,
    ...more,
  };
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
