import { createHash } from 'node:crypto';
import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runChecked } from '../../../engine/core/run.ts';
import { makeSigningKey } from '../../../engine/repos/deb/archive.test-support.ts';

/** A repository as it is at one time, by paths below its address. */
export interface Generation {
  readonly files: ReadonlyMap<string, Buffer>;
  /** Those that a synchronisation must have: the newest. */
  readonly packages: ReadonlyMap<string, Buffer>;
}

/** Repositories as the usual programs make and sign them. */
export interface RealRepositories {
  /** The public key that all is signed with. */
  readonly keyFile: string;
  /** Each has its metadata packed in another way. */
  readonly rpm: readonly Generation[];
  readonly deb: readonly Generation[];
}

/** How `createrepo_c` packs metadata, generation by generation. */
export const PACKINGS = ['gz', 'xz', 'bz2', 'zck', 'zst'] as const;
const NAMES = 16;
const LARGE = 300_000;

interface Built {
  readonly name: string;
  readonly version: number;
  readonly file: string;
}

/** A third of the packages is new in each generation. */
function versionIn(generation: number, index: number): number {
  return 1 + Array.from({ length: generation + 1 }).filter((_, at) => at > 0 && (index + at) % 3 === 0).length;
}

const indexes = Array.from({ length: NAMES }, (_, index) => index);
const VERSIONS = Math.max(...indexes.map((index) => versionIn(PACKINGS.length - 1, index)));
/** Some packages are large, so that they are received in pieces. */
const isLarge = (index: number): boolean => index % 5 === 0;

/** Builds all in `dir` with rpmbuild, rpmsign, createrepo_c and modifyrepo_c, and with dpkg-deb, apt-ftparchive and gpg. */
export async function buildRepositories(dir: string): Promise<RealRepositories> {
  const home = join(dir, 'gpg');
  const key = await makeSigningKey(home);
  const keyFile = join(dir, 'key.asc');
  writeFileSync(keyFile, key.armoured);
  const [rpms, debs] = await Promise.all([buildRpms(join(dir, 'rpms'), home), buildDebs(join(dir, 'debs'))]);
  const generations = [...PACKINGS.keys()];
  try {
    const rpm: Generation[] = [];
    const deb: Generation[] = [];
    for (const generation of generations) {
      rpm.push(await rpmGeneration(join(dir, `rpm-${generation}`), rpms, generation, home));
      const unsigned = await debGeneration(join(dir, `deb-${generation}`), debs, generation);
      deb.push({ ...unsigned, files: await key.sign(unsigned.files, 'inline', 'dists/bookworm/') });
    }
    return { keyFile, rpm, deb };
  } finally {
    await runChecked(['gpgconf', '--homedir', home, '--kill', 'gpg-agent'], 'The agent of gpg goes on.');
  }
}

/** All versions of all packages, and those of a module: one run of rpmbuild for each version. */
async function buildRpms(folder: string, home: string): Promise<readonly Built[]> {
  mkdirSync(folder);
  await Promise.all(
    Array.from({ length: VERSIONS }, async (_, at) => {
      const version = at + 1;
      const there = indexes.filter((index) => version <= versionIn(PACKINGS.length - 1, index)).map((index) => `p${index}`);
      const names = version <= 2 ? [...there, 'tool'] : there;
      const spec = join(folder, `${version}.spec`);
      writeFileSync(spec, specOf(names, version));
      const defines = { _topdir: join(folder, `.${version}`), _rpmdir: folder, _rpmfilename: '%%{NAME}-%%{VERSION}.rpm' };
      const options = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
      await runChecked(['rpmbuild', '--quiet', ...options, '-bb', spec], 'No rpm was built.');
    }),
  );
  const files = readdirSync(folder).filter((name) => name.endsWith('.rpm'));
  const sign = ['rpmsign', '--define', '__gpg /usr/bin/gpg', '--define', '_gpg_name Archive', '--define', `_gpg_path ${home}`, '--addsign'];
  await runChecked([...sign, ...files.map((name) => join(folder, name))], 'Not signed.');
  return files.map((file) => builtFrom(join(folder, file), /^(.+)-(\d+)\.rpm$/));
}

function builtFrom(file: string, pattern: RegExp): Built {
  const [, name = '', version] = pattern.exec(basename(file)) ?? [];
  return { name, version: Number(version), file };
}

function specOf(names: readonly string[], version: number): string {
  const release = (name: string): string => (name === 'tool' ? '1.module_el9' : '1.el9');
  const content = (name: string): string =>
    isLarge(Number(name.slice(1)))
      ? `head -c ${LARGE} /dev/urandom > %{buildroot}/opt/${name}`
      : `echo ${version} > %{buildroot}/opt/${name}`;
  return [
    '%define _binary_payload w1.gzdio',
    `Name: all\nVersion: ${version}\nRelease: 1\nSummary: test\nLicense: MIT\nBuildArch: noarch`,
    '%description\ntest\n%install\nmkdir -p %{buildroot}/opt',
    ...names.map(content),
    ...names.map(
      (name) => `%package -n ${name}\nVersion: ${version}\nRelease: ${release(name)}\nSummary: test\n%description -n ${name}\ntest`,
    ),
    ...names.map((name) => `%files -n ${name}\n/opt/${name}\n`),
  ].join('\n');
}

/** Both streams of a module have a package of the same name. */
const MODULES = ['1', '2']
  .map(
    (stream) => `---
document: modulemd
version: 2
data:
  name: tool
  stream: "${stream}"
  version: ${stream}
  context: abcdef12
  arch: x86_64
  summary: A tool
  description: A tool
  license: {module: [MIT]}
  artifacts: {rpms: ["tool-0:${stream}-1.module_el9.noarch"]}
...
`,
  )
  .join('');

async function rpmGeneration(folder: string, built: readonly Built[], generation: number, home: string): Promise<Generation> {
  const packing = PACKINGS[generation] ?? 'gz';
  const newest = newestOf(generation, 'p');
  mkdirSync(join(folder, 'Packages'), { recursive: true });
  const chosen = new Map<string, Buffer>();
  for (const { name, version, file } of built) {
    const last = name === 'tool' ? version : newest(name);
    if (version > last || (version < last && !keepsOld(name))) continue;
    const path = `Packages/${name}-${version}.rpm`;
    linkSync(file, join(folder, path));
    if (version === last) chosen.set(path, readFileSync(file));
  }
  const pack = packing === 'zck' ? ['--zck'] : [`--general-compress-type=${packing === 'zst' ? 'gz' : packing}`];
  await runChecked(['createrepo_c', '--quiet', '--no-database', ...pack, folder], 'No metadata.');
  const repodata = join(folder, 'repodata');
  const modules = join(folder, 'modules.yaml');
  writeFileSync(modules, MODULES);
  await runChecked(['modifyrepo_c', '--mdtype=modules', modules, repodata], 'No modules.');
  rmSync(modules);
  if (packing === 'zck') {
    for (const kind of ['primary', 'filelists', 'other']) await runChecked(['modifyrepo_c', '--remove', kind, repodata], 'Not removed.');
  } else if (packing === 'zst') await repackAsZstd(folder);
  const repomd = join(repodata, 'repomd.xml');
  const gpg = ['gpg', '--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', ''];
  await runChecked([...gpg, '--armor', '--detach-sign', repomd], 'Not signed.');
  return { files: filesOf(folder), packages: chosen };
}

/** createrepo_c of Debian 12 cannot do it yet, other than that of current distributions. */
async function repackAsZstd(folder: string): Promise<void> {
  const path = join(folder, 'repodata/repomd.xml');
  // Each file is described by an element of its own; two files may have the same size.
  const parts = readFileSync(path, 'utf8').split(/(?=<data )/);
  const repacked = await Promise.all(parts.map(async (part) => await repackFile(folder, part)));
  writeFileSync(path, repacked.join(''));
}

/** Packs the file that an element of repomd.xml describes, and returns the element of the new one. */
async function repackFile(folder: string, element: string): Promise<string> {
  const [, hex, kind] = /href="repodata\/([0-9a-f]{64})-(\w+)\.xml\.gz"/.exec(element) ?? [];
  if (hex === undefined || kind === undefined) return element;
  const old = join(folder, `repodata/${hex}-${kind}.xml.gz`);
  const packed = join(folder, `${kind}.zst`);
  await runChecked(['bash', '-c', 'set -o pipefail; gzip -dc "$1" | zstd -q -o "$2"', 'bash', old, packed], 'Packing failed.');
  const content = readFileSync(packed);
  const now = createHash('sha256').update(content).digest('hex');
  const before = readFileSync(old).length;
  copyFileSync(packed, join(folder, `repodata/${now}-${kind}.xml.zst`));
  rmSync(packed);
  rmSync(old);
  return element
    .replace(`>${hex}<`, `>${now}<`)
    .replace(`${hex}-${kind}.xml.gz`, `${now}-${kind}.xml.zst`)
    .replace(`<size>${before}</size>`, `<size>${content.length}</size>`);
}

async function buildDebs(folder: string): Promise<readonly Built[]> {
  mkdirSync(folder);
  const made: Built[] = [];
  for (const index of indexes) {
    for (let version = 1; version <= versionIn(PACKINGS.length - 1, index); version++) {
      const tree = join(folder, `.d${index}-${version}`);
      mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
      mkdirSync(join(tree, 'opt'));
      writeFileSync(
        join(tree, 'opt', `d${index}`),
        createHash('shake256', { outputLength: isLarge(index) ? LARGE : 8 })
          .update(tree)
          .digest(),
      );
      const fields = `Package: d${index}\nVersion: ${version}\nArchitecture: all\nMaintainer: Test <test@example.com>\nDescription: test\n`;
      writeFileSync(join(tree, 'DEBIAN/control'), fields);
      const file = join(folder, `d${index}_${version}_all.deb`);
      await runChecked(['dpkg-deb', '--root-owner-group', '-Zgzip', '--build', tree, file], 'No deb was built.');
      made.push({ name: `d${index}`, version, file });
    }
  }
  return made;
}

async function debGeneration(folder: string, built: readonly Built[], generation: number): Promise<Generation> {
  const newest = newestOf(generation, 'd');
  const index = join(folder, 'dists/bookworm/main/binary-amd64');
  mkdirSync(index, { recursive: true });
  mkdirSync(join(folder, 'pool/main'), { recursive: true });
  const chosen = new Map<string, Buffer>();
  for (const { name, version, file } of built) {
    const last = newest(name);
    if (version > last || (version < last && !keepsOld(name))) continue;
    const path = `pool/main/${name}_${version}_all.deb`;
    linkSync(file, join(folder, path));
    if (version === last) chosen.set(path, readFileSync(file));
  }
  const { stdout } = await runChecked(['env', '-C', folder, 'apt-ftparchive', 'packages', 'pool/main'], 'No index.');
  const packages = join(index, 'Packages');
  writeFileSync(packages, stdout);
  await runChecked(['gzip', '--keep', packages], 'Packing failed.');
  await runChecked(['xz', '--keep', packages], 'Packing failed.');
  const facts = { Suite: 'stable', Codename: 'bookworm', Components: 'main', Architectures: 'amd64 all' };
  const options = Object.entries(facts).flatMap(([name, value]) => ['-o', `APT::FTPArchive::Release::${name}=${value}`]);
  const release = await runChecked(['apt-ftparchive', ...options, 'release', join(folder, 'dists/bookworm')], 'No Release file.');
  // None is older than another: the generations follow each other in a circle.
  writeFileSync(join(folder, 'dists/bookworm/Release'), release.stdout.replace(/^Date: .*$/m, 'Date: Sat, 01 Jan 2022 00:00:00 UTC'));
  return { files: filesOf(folder), packages: chosen };
}

/** The newest version of a package in a generation. */
function newestOf(generation: number, letter: string): (name: string) => number {
  return (name) => versionIn(generation, Number(name.replace(letter, '')));
}

/** Of some packages a repository has older versions too. */
function keepsOld(name: string): boolean {
  return Number(name.slice(1)) % 4 === 0;
}

function filesOf(folder: string): ReadonlyMap<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map((entry): [string, Buffer] => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length + 1), readFileSync(path)];
    }),
  );
}
