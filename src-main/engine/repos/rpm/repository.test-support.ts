import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { RpmSection } from '../definition/section.ts';
import type { RpmPackage } from './package.ts';

/** A package with invented content. */
export interface InventedPackage extends RpmPackage {
  readonly content: Buffer;
}

/** A package; its content is random, so that no two have the same. */
export function rpmPackage(name: string, version: string, release: string, arch = 'noarch', epoch = '0', size = 300): InventedPackage {
  return {
    ...packageWith(name, randomBytes(size), version),
    release,
    arch,
    epoch,
    location: `Packages/${name}-${version}-${release}.${arch}.rpm`,
  };
}

/** A package of this content. */
export function packageWith(name: string, content: Buffer, version = '1'): InventedPackage {
  const hex = sha256(content);
  return {
    name,
    version,
    release: '1',
    arch: 'noarch',
    epoch: '0',
    id: hex,
    checksum: { algorithm: 'sha256', hex },
    size: content.length,
    location: `Packages/${name}-${version}-1.noarch.rpm`,
    base: undefined,
    content,
  };
}

/** A metadata file of a repository, already packed. */
export interface InventedMetadata {
  readonly type: string;
  readonly name: string;
  readonly content: Buffer;
}

/** Files of a repository by their paths, as createrepo_c makes them. */
export function repositoryOf(packages: readonly InventedPackage[], more: readonly InventedMetadata[] = []): ReadonlyMap<string, Buffer> {
  const metadata: readonly InventedMetadata[] = [
    { type: 'primary', name: 'primary.xml.gz', content: gzipSync(primaryXml(packages)) },
    { type: 'filelists', name: 'filelists.xml.gz', content: gzipSync(listXml('filelists', packages)) },
    { type: 'other', name: 'other.xml.gz', content: gzipSync(listXml('otherdata', packages)) },
    ...more,
  ];
  const replaced = metadata.filter(({ type }, index) => !metadata.slice(index + 1).some((later) => later.type === type));
  const named = replaced.map((one) => ({ ...one, path: `repodata/${sha256(one.content)}-${one.name}` }));
  return new Map([
    ...packages.map(({ location, content }): [string, Buffer] => [location, content]),
    ...named.map(({ path, content }): [string, Buffer] => [path, content]),
    ['repodata/repomd.xml', Buffer.from(repomdXml(named))],
  ]);
}

export function primaryXml(packages: readonly RpmPackage[]): string {
  const elements = packages.map(
    ({ name, arch, epoch, version, release, checksum, size, location }) => `<package type="rpm">
  <name>${name}</name>
  <arch>${arch}</arch>
  <version epoch="${epoch}" ver="${version}" rel="${release}"/>
  <checksum type="${checksum.algorithm}" pkgid="YES">${checksum.hex}</checksum>
  <summary>About &lt;package &gt;</summary>
  <size package="${size}" installed="1" archive="1"/>
  <location href="${location}"/>
  <format>
    <rpm:license>MIT</rpm:license>
    <rpm:provides>
      <rpm:entry name="${name}" flags="EQ" epoch="${epoch}" ver="${version}" rel="${release}"/>
    </rpm:provides>
  </format>
</package>
`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${packages.length}">
${elements.join('')}</metadata>
`;
}

function listXml(root: 'filelists' | 'otherdata', packages: readonly RpmPackage[]): string {
  const elements = packages.map(
    ({ name, arch, epoch, version, release, id }) =>
      `<package pkgid="${id}" name="${name}" arch="${arch}">\n  <version epoch="${epoch}" ver="${version}" rel="${release}"/>\n</package>\n`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://linux.duke.edu/metadata/x" packages="${packages.length}">\n${elements.join('')}</${root}>\n`;
}

function repomdXml(metadata: readonly (InventedMetadata & { readonly path: string })[]): string {
  const data = metadata.map(
    ({ type, path, content }) => `  <data type="${type}">
    <checksum type="sha256">${sha256(content)}</checksum>
    <location href="${path}"/>
    <size>${content.length}</size>
  </data>
`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">\n  <revision>1</revision>\n${data.join('')}</repomd>\n`;
}

/** A section that asks for nothing special. */
export function rpmSection(url: string, more: Partial<RpmSection> = {}): RpmSection {
  return {
    kind: 'rpm',
    id: 'tiny-el9',
    name: 'tiny',
    file: 'test.repo',
    line: 1,
    enabled: true,
    maxConnections: 4,
    connection: { sslVerify: true },
    baseurls: [url],
    excludes: [],
    includes: [],
    gpgCheck: false,
    repoGpgCheck: false,
    gpgKeys: [],
    cost: 1000,
    priority: 99,
    moduleHotfixes: false,
    skipIfUnavailable: false,
    ...more,
  };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
