import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { alternate, makeScratch, root, runTimed, say, watchMemory } from './support/measure.ts';

/** Synchronising a repository of 2,000 packages from a server on loopback, compared with dnf. */
export const title =
  'lago repo sync of 2,000 packages, at first and again / dnf reposync --newest-only --delete; memory for 100 MB of metadata';
export const goal = 'first <= 0.7, repeat <= 0.1, memory_mib <= 150';

const PACKAGES = 2000;
const BYTES = 20_000;
const ROUNDS = 5;
/** Makes about 100 MB of primary metadata. */
const MANY = 40_000;

interface Invented {
  readonly name: string;
  readonly version: string;
  readonly hex: string;
}

/** A repository: two versions of each package, of which only the newer ones have files. Both programs look only at checksums. */
function makeRepository(folder: string, count: number, withFiles: boolean, padding: number): void {
  mkdirSync(join(folder, 'repodata'), { recursive: true });
  const all: Invented[] = [];
  for (let index = 0; index < count; index++) {
    for (const version of ['1.0', '1.1']) {
      const name = `package${index}`;
      const content = randomBytes(withFiles ? BYTES : 16);
      if (withFiles && version === '1.1') writeFileSync(join(folder, fileOf({ name, version })), content);
      all.push({ name, version, hex: createHash('sha256').update(content).digest('hex') });
    }
  }
  const entries = '<rpm:entry name="lib.so.1()(64bit)" flags="EQ" epoch="0" ver="1.0" rel="1"/>\n'.repeat(padding);
  const size = withFiles ? BYTES : 16;
  const primary = all.map(
    ({ name, version, hex }) => `<package type="rpm"><name>${name}</name><arch>noarch</arch><version epoch="0" ver="${version}" rel="1"/>
<checksum type="sha256" pkgid="YES">${hex}</checksum><summary>s</summary><description>d</description><packager/><url/><time file="1" build="1"/>
<size package="${size}" installed="1" archive="1"/><location href="${fileOf({ name, version })}"/>
<format><rpm:license>MIT</rpm:license><rpm:sourcerpm>s.src.rpm</rpm:sourcerpm><rpm:header-range start="1" end="2"/>
<rpm:provides><rpm:entry name="${name}" flags="EQ" epoch="0" ver="${version}" rel="1"/>${entries}</rpm:provides></format></package>\n`,
  );
  const lists = all.map(
    ({ name, version, hex }) =>
      `<package pkgid="${hex}" name="${name}" arch="noarch"><version epoch="0" ver="${version}" rel="1"/><file>/usr/share/${name}</file></package>\n`,
  );
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  const xmlns = 'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"';
  const files = {
    primary: [`${head}<metadata ${xmlns} packages="${all.length}">\n`, ...primary, '</metadata>\n'],
    filelists: [
      `${head}<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="${all.length}">\n`,
      ...lists,
      '</filelists>\n',
    ],
  };
  const data = Object.entries(files).map(([type, parts]) => {
    const plain = Buffer.from(parts.join(''));
    say(`  ${type}: ${Math.round(plain.length / 1e6)} MB`);
    const packed = gzipSync(plain, { level: 1 });
    writeFileSync(join(folder, `repodata/${type}.xml.gz`), packed);
    return `<data type="${type}"><checksum type="sha256">${createHash('sha256').update(packed).digest('hex')}</checksum>
<location href="repodata/${type}.xml.gz"/><timestamp>1</timestamp><size>${packed.length}</size></data>`;
  });
  const repomd = `${head}<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>${data.join('\n')}</repomd>\n`;
  writeFileSync(join(folder, 'repodata/repomd.xml'), repomd);
}

function fileOf({ name, version }: Pick<Invented, 'name' | 'version'>): string {
  return `${name}-${version}-1.noarch.rpm`;
}

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const served = join(scratch.dir, 'served');
  say('  making the repositories');
  makeRepository(join(served, 'many'), PACKAGES, true, 0);
  makeRepository(join(served, 'large'), MANY / 2, false, 25);
  const server = createServer((request, response) => {
    const path = join(served, decodeURIComponent(request.url ?? ''));
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() !== true) {
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    const etag = `"${found.size}-${found.mtimeMs}"`;
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    response.writeHead(200, { 'content-length': found.size, etag, 'last-modified': found.mtime.toUTCString() });
    createReadStream(path).pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = join(scratch.dir, 'bench.repo');
  const section = (id: string, more: string): string => `[${id}-el9]\nname=${id}\nbaseurl=${url}/${id}/\ngpgcheck=0\n${more}`;
  writeFileSync(file, section('many', 'max_parallel_downloads=6\n') + section('large', 'includepkgs=nothing\n'));

  const [theirs, store] = [join(scratch.dir, 'theirs'), join(scratch.dir, 'store')];
  const options = { reposdir: '/nonexistent', varsdir: '/nonexistent', module_platform_id: 'platform:el9' };
  const setopt = Object.entries({ ...options, cachedir: join(theirs, 'cache'), logdir: join(theirs, 'log') });
  const dnf = [
    ...['dnf', `--config=${file}`, ...setopt.map(([key, value]) => `--setopt=${key}=${value}`), '--releasever=9', 'reposync'],
    ...['--repoid=many-el9', '--newest-only', '--delete', '--download-metadata', `--download-path=${theirs}`],
  ];
  const lago = (id: string, folder: string): readonly string[] => {
    const program = [process.execPath, join(root, 'out/cli/lago.cjs'), '--reposync-dir', folder];
    return [...program, 'repo', 'sync', '--section', `${id}-el9`, file];
  };
  const env = { ...scratch.env, http_proxy: '', HTTP_PROXY: '' };
  const count = (folder: string): void => {
    const found = readdirSync(folder).filter((name) => name.endsWith('.rpm')).length;
    if (found !== PACKAGES) throw new Error(`${folder} has ${found} packages.`);
  };
  const reference = async (): Promise<number> => {
    const { ms } = await runTimed({ argv: dnf, env });
    count(join(theirs, 'many-el9'));
    return ms;
  };
  const ours = async (): Promise<number> => {
    const { ms } = await runTimed({ argv: lago('many', store), env });
    count(join(store, 'many-el9'));
    return ms;
  };
  const anew = (folder: string, work: () => Promise<number>) => async (): Promise<number> => {
    rmSync(folder, { recursive: true, force: true });
    return await work();
  };

  try {
    say('  at first');
    const first = await alternate(ROUNDS, anew(theirs, reference), anew(store, ours));
    say('  again');
    const repeat = await alternate(ROUNDS, reference, ours);
    const child = spawn(process.execPath, lago('large', store).slice(1), { stdio: 'ignore', env: { ...process.env, ...env } });
    const memory = watchMemory(child);
    const code = await new Promise((done) => child.on('close', done));
    if (code !== 0) throw new Error('The repository with much metadata was not synchronised.');
    return {
      first: first.ratio,
      repeat: repeat.ratio,
      memory_mib: Math.round(memory.peak() / 1024),
      first_ms: Math.round(first.ours),
      repeat_ms: Math.round(repeat.ours),
      reference_first_ms: Math.round(first.reference),
      reference_repeat_ms: Math.round(repeat.reference),
    };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
