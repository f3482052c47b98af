import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type MisbehavingServer, startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { findTemplate, loadRepository, pinVersion, type TemplateRepository } from './repository.ts';
import { openStore } from './store.ts';
import { compareVersions, matchVersion, parseChecksumFile, parseListing } from './vendor.ts';

const SHIPPED = resolve(import.meta.dirname, '../../../resources/templates/repo.json');
const quick = { backOffMs: 1, env: {} };
const digest = (algorithm: string, bytes: Buffer | string): string => createHash(algorithm).update(bytes).digest('hex');

describe('checksum files', () => {
  const sha256 = digest('sha256', 'a');
  const sha512 = digest('sha512', 'a');

  test.each<[string, string, object[]]>([
    ['sha256sum', `${sha256}  a.img\n${sha256} *b.img\r\n${sha256}  ./c.img`, [{ name: 'a.img' }, { name: 'b.img' }, { name: 'c.img' }]],
    ['sha512sum', `${sha512}  a.img\n`, [{ name: 'a.img', algorithm: 'sha512', hash: sha512 }]],
    ['BSD', `# a.img: 12 bytes\nSHA256 (a.img) = ${sha256.toUpperCase()}\n`, [{ name: 'a.img', algorithm: 'sha256', hash: sha256 }]],
    [
      'BSD between lines of a PGP signature',
      `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSHA256 (a.img) = ${sha256}\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n`,
      [{ name: 'a.img' }],
    ],
    ['both kinds for one file', `${sha256}  a.img\nSHA512 (a.img) = ${sha512}\n`, [{ name: 'a.img', hash: sha512 }]],
    ['a path', `${sha256}  ../a.img\n${sha256}  /etc/a.img\n`, []],
    ['a hash that is no such', `MD5 (a.img) = ${'a'.repeat(32)}\n${'a'.repeat(40)}  a.img\nSHA512 (a.img) = ${sha256}\n`, []],
    ['a page', '<html><a href="a.img">a.img</a></html>', []],
  ])('%s', (_, text, expected) => {
    const files = parseChecksumFile(text);
    expect(files).toHaveLength(expected.length);
    expect(files).toMatchObject(expected);
  });
});

test('listings of the usual servers', () => {
  expect(
    parseListing(
      `<tr><td><a href="?C=N;O=D">Name</a></td></tr><a href="/images/">Parent</a><A HREF='20250101-1/'>x</A><a href=release%2B1/>y</a>
       <a class="x" href="./b.img">b</a><a href="https://mirror.example/c/100%/">odd</a><a href="../">up</a>`,
    ),
  ).toEqual(['images/', '20250101-1/', 'release+1/', 'b.img', '100%/']);
});

test('a star stands for one version, which begins with a digit', () => {
  expect(matchVersion('release-*', 'release-20250805')).toBe('20250805');
  expect(matchVersion('release-*', 'release-latest')).toBeUndefined();
  expect(matchVersion('a-*.x86_64.qcow2', 'a-9.6-20250522.x86_64.qcow2')).toBe('9.6-20250522');
  expect(matchVersion('*/a-*', '1/a-1')).toBe('1');
  expect(matchVersion('*/a-*', '1/a-2')).toBeUndefined();
  expect(matchVersion('a.img', 'a.img')).toBe('');
  expect(matchVersion('a.img', 'aximg')).toBeUndefined();
  expect(['9.9', '9.10', '10'].toSorted(compareVersions)).toEqual(['9.9', '9.10', '10']);
});

/** How each vendor lays out its images; versions and contents are made up. */
interface Layout {
  readonly template: string;
  readonly host: string;
  /** Oldest first. */
  readonly images: readonly { readonly version: string; readonly folder: string; readonly name: string }[];
  readonly list: 'SHA256SUMS' | 'SHA512SUMS' | 'plain CHECKSUM' | 'BSD CHECKSUM' | 'signed CHECKSUM';
  /** Folder listings, with what they link to. */
  readonly listings: Readonly<Record<string, readonly string[]>>;
  readonly listName?: (folder: string) => string;
  /** Other files that the checksum file names too. */
  readonly beside: readonly string[];
}

function debian(release: string, number: number): Layout {
  const folders = ['20300101-1', '20300401-2'];
  return {
    template: `debian-${number}`,
    host: 'cloud.debian.org/images/cloud',
    images: folders.map((version) => ({
      version,
      folder: `${release}/${version}`,
      name: `debian-${number}-generic-amd64-${version}.qcow2`,
    })),
    list: 'SHA512SUMS',
    listings: { [release]: ['20300101-1/', '20300401-2/', 'latest/', 'daily/'] },
    beside: [`debian-${number}-genericcloud-amd64-20300401-2.qcow2`, `debian-${number}-generic-arm64-20300401-2.qcow2`],
  };
}

function ubuntu(release: string, number: string): Layout {
  return {
    template: `ubuntu-${number}`,
    host: 'cloud-images.ubuntu.com/releases',
    images: ['20300101', '20300201'].map((version) => ({
      version,
      folder: `${release}/release-${version}`,
      name: `ubuntu-${number}-server-cloudimg-amd64.img`,
    })),
    list: 'SHA256SUMS',
    listings: { [release]: ['release/', 'release-20300101/', 'release-20300201/'] },
    beside: [`ubuntu-${number}-server-cloudimg-arm64.img`, `ubuntu-${number}-server-cloudimg-amd64.vmdk`],
  };
}

function enterprise(template: string, host: string, folder: string, prefix: string, list: Layout['list'], latest: string): Layout {
  return {
    template,
    host,
    images: ['9.9-20300101.0', '9.10-20300201.1'].map((version) => ({ version, folder, name: `${prefix}${version}.x86_64.qcow2` })),
    list,
    listings: {},
    beside: [latest, `${prefix}9.10-20300201.1.aarch64.qcow2`],
  };
}

const LAYOUTS: readonly Layout[] = [
  debian('trixie', 13),
  debian('bookworm', 12),
  ubuntu('noble', '24.04'),
  ubuntu('jammy', '22.04'),
  {
    template: 'fedora',
    host: 'dl.fedoraproject.org/pub/fedora/linux/releases',
    images: ['98', '99'].map((release) => ({
      version: `${release}-1.1`,
      folder: `${release}/Cloud/x86_64/images`,
      name: `Fedora-Cloud-Base-Generic-${release}-1.1.x86_64.qcow2`,
    })),
    list: 'signed CHECKSUM',
    // The newest release has no cloud images yet.
    listings: {
      '': ['98/', '99/', '100/', 'test/'],
      '98/Cloud/x86_64/images': ['Fedora-Cloud-98-1.1-x86_64-CHECKSUM'],
      '99/Cloud/x86_64/images': ['Fedora-Cloud-99-1.1-x86_64-CHECKSUM', 'Fedora-Cloud-Base-Generic-99-1.1.x86_64.qcow2'],
    },
    listName: (folder) => `Fedora-Cloud-${folder.split('/')[0]}-1.1-x86_64-CHECKSUM`,
    beside: ['Fedora-Cloud-Base-UEFI-UKI-99-1.1.x86_64.qcow2', 'Fedora-Cloud-Base-AmazonEC2-99-1.1.x86_64.raw.xz'],
  },
  ...[10, 9].map((number): Layout => {
    const prefix = `CentOS-Stream-GenericCloud-${number}-`;
    const folder = `${number}-stream/x86_64/images`;
    return enterprise(`centos-stream-${number}`, 'cloud.centos.org/centos', folder, prefix, 'BSD CHECKSUM', `${prefix}latest.x86_64.qcow2`);
  }),
  ...[10, 9, 8].map((number): Layout => {
    const prefix = `AlmaLinux-${number}-GenericCloud-`;
    const folder = `${number}/cloud/x86_64/images`;
    return enterprise(`alma-${number}`, 'repo.almalinux.org/almalinux', folder, prefix, 'plain CHECKSUM', `${prefix}latest.x86_64.qcow2`);
  }),
  ...[10, 9, 8].map((number): Layout => {
    const prefix = `Rocky-${number}-GenericCloud-Base-`;
    const folder = `${number}/images/x86_64`;
    const latest = `Rocky-${number}-GenericCloud-Base.latest.x86_64.qcow2`;
    return enterprise(`rocky-${number}`, 'dl.rockylinux.org/pub/rocky', folder, prefix, 'BSD CHECKSUM', latest);
  }),
];

function checksumFile(kind: Layout['list'], files: ReadonlyMap<string, Buffer>): string {
  const lines = [...files].map(([name, content]) => {
    switch (kind) {
      case 'SHA512SUMS':
        return `${digest('sha512', content)}  ${name}`;
      case 'SHA256SUMS':
        return `${digest('sha256', content)} *${name}`;
      case 'plain CHECKSUM':
        return `${digest('sha256', content)}  ${name}`;
      default:
        return `# ${name}: ${content.length} bytes\nSHA256 (${name}) = ${digest('sha256', content)}`;
    }
  });
  const text = `${lines.join('\n')}\n`;
  if (kind !== 'signed CHECKSUM') return text;
  return `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${text}-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEEs\n=mAdE\n-----END PGP SIGNATURE-----\n`;
}

describe('the repository that is shipped, against mirrors of the same shape', () => {
  let folder = '';
  let server: MisbehavingServer;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lago vendors '));
    server = await startMisbehavingServer();
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** The shipped file itself, with each source's address pointed at the mirror. */
  async function repository(): Promise<TemplateRepository> {
    const shipped = JSON.parse(readFileSync(SHIPPED, 'utf8')) as { sources: Record<string, { args: { baseurl: string } }> };
    for (const { args } of Object.values(shipped.sources)) {
      const { host, pathname, protocol } = new URL(args.baseurl);
      expect(protocol).toBe('https:');
      args.baseurl = `${server.url}/${host}${pathname}`;
    }
    const path = join(folder, 'repo.json');
    writeFileSync(path, JSON.stringify(shipped));
    return await loadRepository(path);
  }

  function mirror(layout: Layout): ReadonlyMap<string, Buffer> {
    const contents = new Map<string, Buffer>();
    const base = `/${layout.host}`;
    const folders = new Map<string, Map<string, Buffer>>();
    for (const { version, folder: where, name } of layout.images) {
      const content = randomBytes(70_000);
      contents.set(version, content);
      server.put(`${base}/${where}/${name}`, content);
      const files = folders.get(where) ?? new Map<string, Buffer>(layout.beside.map((other) => [other, randomBytes(10)]));
      folders.set(where, files.set(name, content));
    }
    for (const [where, files] of folders) {
      const name = layout.listName?.(where) ?? layout.list.split(' ').at(-1);
      server.put(`${base}/${where}/${name}`, checksumFile(layout.list, files));
    }
    for (const [where, names] of Object.entries(layout.listings)) {
      const links = names.map((name) => `<a href="${name}">${name}</a>`).join('\n');
      server.put(`${base}${where === '' ? '' : `/${where}`}/`, `<html><pre><a href="../">..</a>\n${links}</pre></html>`);
    }
    return contents;
  }

  test('nothing in it is a checksum or a version', async () => {
    const text = readFileSync(SHIPPED, 'utf8');
    expect(text).not.toMatch(/[0-9a-f]{32}/i);
    const { templates } = await loadRepository(SHIPPED);
    for (const versions of templates.values()) {
      expect(versions).toHaveLength(1);
      expect(versions[0]).toMatchObject({ version: 'latest', checksums: {}, vendor: { image: expect.anything() as unknown } });
      expect(versions[0]?.url).toContain('*');
    }
    expect([...templates.keys()].sort()).toEqual(LAYOUTS.map(({ template }) => template).sort());
  });

  test.each(LAYOUTS.map((layout) => [layout.template, layout] as const))(
    '%s: the newest image is found, verified and stored',
    async (_, layout) => {
      const contents = mirror(layout);
      const entry = findTemplate(await repository(), layout.template);
      const newest = layout.images.at(-1)?.version ?? '';
      const pinned = await pinVersion(entry, undefined, quick);
      expect(pinned).toMatchObject({ version: newest, fullName: `cloud:${layout.template}:${newest}` });
      const stored = await openStore(join(folder, 'store'), { download: quick }).fetch(pinned);
      expect(readFileSync(stored.path).equals(contents.get(newest) as Buffer)).toBe(true);
      expect(stored.metadata).toMatchObject({ 'cloud-init': true });
      const oldest = layout.images[0]?.version ?? '';
      expect(await pinVersion(entry, oldest, quick)).toMatchObject({ version: oldest });
    },
  );

  test('an image that does not match its vendor’s list is refused', async () => {
    const layout = debian('trixie', 13);
    mirror(layout);
    const entry = findTemplate(await repository(), layout.template);
    const pinned = await pinVersion(entry, undefined, quick);
    const { folder: where, name } = layout.images[1] as Layout['images'][number];
    server.put(`/${layout.host}/${where}/${name}`, randomBytes(70_000));
    const store = openStore(join(folder, 'store'), { download: quick });
    await expect(store.fetch(pinned)).rejects.toMatchObject({ code: 'remote.hash-mismatch' });
    expect(await store.list()).toEqual([]);
  });

  test('a missing checksum file or version is named', async () => {
    const layout = LAYOUTS.at(-1) as Layout;
    const entry = findTemplate(await repository(), layout.template);
    await expect(pinVersion(entry, undefined, quick)).rejects.toMatchObject({
      code: 'remote.invalid',
      message: expect.stringContaining('There is no checksum file CHECKSUM'),
    });
    mirror(layout);
    await expect(pinVersion(entry, '9.11', quick)).rejects.toMatchObject({
      code: 'template.missing',
      hint: expect.stringContaining('There are: 9.10-20300201.1, 9.9-20300101.0.'),
    });
  });
});
