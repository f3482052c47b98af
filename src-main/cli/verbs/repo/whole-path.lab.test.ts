import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { runChecked } from '../../../engine/core/run.ts';
import {
  type Fault,
  type RepositoryServer,
  randomFault,
  seededRandom,
  startRepositoryServer,
} from '../../../engine/repos/fetch/repository-server.test-support.ts';
import { repositoryOf, rpmPackage } from '../../../engine/repos/rpm/repository.test-support.ts';
import { type RealOutcome, realCommand } from '../../real-command.test-support.ts';
import { buildRepositories, type Generation, PACKINGS, type RealRepositories } from './real-repositories.test-support.ts';

/** Repositories as real programs make them, from servers on loopback, by the command line that ships. */

const FAILURES = 100;
const KILLS = 50;
/** To repeat a failure, set LAGO_SEED to the number in the title of the test. */
const seed = Number(process.env['LAGO_SEED'] ?? 20_110);
const CLI = join(import.meta.dirname, '../../../../out/cli/lago.cjs');

let dir: string;
let work: string;
let made: RealRepositories;
let rpm: RepositoryServer;
let deb: RepositoryServer;

beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'lago-path-')));
  made = await buildRepositories(dir);
});

beforeEach(async () => {
  work = mkdtempSync(join(dir, 'work-'));
  rpm = await startRepositoryServer();
  deb = await startRepositoryServer();
  // The second address is the same server: like a mirror, it is asked without a pause when the first has failed.
  const mirror = rpm.url.replace('127.0.0.1', 'localhost');
  writeFileSync(
    join(work, 'base.repo'),
    `[base-el9]\nbaseurl=${rpm.url}\n ${mirror}\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://${made.keyFile}\ntimeout=30\nretries=4\nip_resolve=4\n`,
  );
  const source = `URIs: ${deb.url}\nSuites: bookworm\nComponents: main\nSigned-By: ${made.keyFile}\nX-Lago-Name: base\n`;
  writeFileSync(join(work, 'base.sources'), `Types: deb\n${source}`);
});

afterEach(async () => {
  await rpm[Symbol.asyncDispose]();
  await deb[Symbol.asyncDispose]();
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const SYNC = ['repo', 'sync', '--distro', 'el9', '--distro', 'debian12', 'base.repo', 'base.sources'];

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** Runs the command line as a user does. */
function startLago(argv: readonly string[] = SYNC): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const env = { PATH: process.env['PATH'], HOME: work, LAGO_CONFINED: '1' };
  const child = spawn(process.execPath, [CLI, '--reposync-dir', 'store', ...argv], { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => child.on('close', (code, signal) => resolve({ code, signal, output })));
  return { child, ended };
}

/** The same in this process, which takes less time. */
const syncHere = async (): Promise<RealOutcome> => await realCommand(work, ['--reposync-dir', join(work, 'store'), ...SYNC]);

function generationAt(round: number): readonly [Generation, Generation] {
  const at = round % PACKINGS.length;
  const [one, other] = [made.rpm[at], made.deb[at]];
  if (one === undefined || other === undefined) throw new Error(`There is no generation ${at}.`);
  return [one, other];
}

function serve(round: number): readonly [Generation, Generation] {
  const generations = generationAt(round);
  rpm.serve(generations[0].files);
  deb.serve(generations[1].files);
  return generations;
}

const folderOf = (id: string): string => join(work, 'store', id);

/** Packages in a folder of the store, by their paths. */
function stored(id: string): ReadonlyMap<string, Buffer> {
  const folder = folderOf(id);
  // One that was killed early has not made it yet.
  if (!existsSync(folder)) return new Map();
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(?:rpm|deb)$/.test(path));
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path))]));
}

/** Every version that there ever was has the content that it was built with. */
function expectNothingWrong(): void {
  for (const [id, generations] of [
    ['base-el9', made.rpm],
    ['base-debian12', made.deb],
  ] as const) {
    const all = new Map(generations.flatMap(({ packages }) => [...packages]));
    for (const [path, content] of stored(id)) expect(all.get(path)?.equals(content), `${path} is as it was built`).toBe(true);
  }
}

function expectRight(id: string, { packages }: Generation): void {
  const there = stored(id);
  expect([...there.keys()].toSorted()).toEqual([...packages.keys()].toSorted());
  for (const [path, content] of packages) expect(there.get(path)?.equals(content), path).toBe(true);
  expect(readdirSync(join(work, 'store/.lago', id)).toSorted()).toEqual(['last-sync.json', 'lock', 'record.json']);
}

const dnfOptions = (): readonly string[] => {
  const root = join(work, 'root');
  const places = { reposdir: '/dev/null', cachedir: join(root, 'cache'), logdir: root, persistdir: join(root, 'persist') };
  return [
    `--installroot=${root}`,
    '--releasever=9',
    ...Object.entries({ ...places, module_platform_id: 'platform:el9' }).map(([key, value]) => `--setopt=${key}=${value}`),
    `--repofrompath=lago,file://${folderOf('base-el9')}`,
    '--repo=lago',
    '--quiet',
  ];
};

/** dnf and apt read the folders as repositories of just these packages. */
async function expectAccepted([one, other]: readonly [Generation, Generation]): Promise<void> {
  const format = 'Packages/%{name}-%{version}.rpm';
  const queried = await runChecked(
    ['dnf', ...dnfOptions(), '--setopt=lago.module_hotfixes=1', 'repoquery', '--queryformat', format],
    'dnf does not read it.',
  );
  expect(queried.stdout.trim().split('\n').toSorted()).toEqual([...one.packages.keys()].toSorted());
  const modules = await runChecked(['dnf', ...dnfOptions(), 'module', 'list'], 'dnf does not read the modules.');
  expect(modules.stdout).toMatch(/^tool\s+1 .*\ntool\s+2 /m);
  const places = {
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'APT::Architecture': 'amd64',
    'APT::Sandbox::User': 'root',
  };
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(work, folder), { recursive: true });
  writeFileSync(join(work, 'sources.list'), `deb [trusted=yes] file:${folderOf('base-debian12')} ./\n`);
  writeFileSync(join(work, 'status'), '');
  const options = Object.entries(places).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await runChecked(['apt-get', ...options, 'update', '--error-on=any'], 'apt does not read it.');
  const { stdout } = await runChecked(['apt-cache', ...options, 'dumpavail'], 'apt does not read it.');
  const files = [...stdout.matchAll(/^Filename: (?:\.\/)*(.+)$/gm)].map(([, path]) => path);
  expect(files.toSorted()).toEqual([...other.packages.keys()].toSorted());
}

/** A server that fails at random: it also stays away for a while, serves old files among new ones, and indexes with wrong checksums. */
function fail(server: RepositoryServer, random: () => number, old: Generation): () => number {
  let failures = 0;
  let gone = 0;
  server.fail((path) => {
    if (gone > 0) gone -= 1;
    else if (random() > 0.3) return undefined;
    failures += 1;
    if (gone > 0) return { kind: 'vanish' };
    return chooseFault(path);
  });
  function chooseFault(path: string): Fault {
    const kind = random();
    if (kind < 0.1) {
      gone = Math.floor(random() * 4);
      return { kind: 'vanish' };
    }
    if (kind < 0.18) return { kind: 'stall', share: random(), ms: 200 };
    if (kind < 0.35) return { kind: 'instead', content: old.files.get(path) };
    if (kind < 0.45) {
      const index = old.files.get(path);
      // The first digit of each checksum is another one.
      if (index !== undefined && /repomd\.xml$|Release$/.test(path)) {
        return { kind: 'instead', content: Buffer.from(index.toString('latin1').replace(/\b[0-9a-f](?=[0-9a-f]{63}\b)/g, 'e'), 'latin1') };
      }
    }
    return randomFault(random);
  }
  return () => failures;
}

test(`right after ${FAILURES} random failures of the servers (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  let failures = 0;
  let round = 0;
  for (; failures < FAILURES; round++) {
    serve(round);
    const [oldRpm, oldDeb] = generationAt(round + PACKINGS.length - 1);
    const counted = [fail(rpm, random, oldRpm), fail(deb, random, oldDeb)];
    const { code, output } = await startLago().ended;
    // Whatever went wrong, the user reads it, and no exception.
    expect([0, 2, 5], output).toContain(code);
    expect(output).not.toMatch(/\n\s+at |internal/);
    expectNothingWrong();
    for (const count of counted) failures += count();
  }
  rpm.fail(undefined);
  deb.fail(undefined);
  for (const packing of PACKINGS) {
    const generations = serve(++round);
    const { code, err } = await syncHere();
    expect(code, `${packing}: ${err}`).toBe(0);
    expectRight('base-el9', generations[0]);
    expectRight('base-debian12', generations[1]);
  }
  await expectAccepted(generationAt(round));
  rpm.requests.length = 0;
  deb.requests.length = 0;
  expect((await startLago().ended).output).toMatch(
    /base-el9: 18 packages, .*; nothing new; .*\nbase-debian12: 16 packages, .*; nothing new; /,
  );
  expect([...rpm.requests, ...deb.requests]).toEqual(['repodata/repomd.xml', 'dists/bookworm/InRelease']);
});

test(`killed at ${KILLS} random moments, the next synchronisation ends right and fetches only what is missing (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  const servers = [rpm, deb];
  let kills = 0;
  let round = 0;
  for (; kills < KILLS; round++) {
    const generations = serve(round);
    const { child, ended } = startLago();
    // A moment after any of its requests: after the last ones it checks signatures, and writes metadata and its record.
    const fatal = 1 + Math.floor(random() * 26);
    let seen = 0;
    for (const server of servers) {
      server.watch(() => {
        seen += 1;
        if (seen === fatal) setTimeout(() => child.kill('SIGKILL'), random() * 60);
      });
    }
    if ((await ended).signal === 'SIGKILL') kills += 1;
    for (const server of servers) {
      server.watch(undefined);
      server.requests.length = 0;
    }
    expectNothingWrong();
    const missing = [...missingFrom('base-el9', generations[0]), ...missingFrom('base-debian12', generations[1])];
    const next = await syncHere();
    expect(next, next.err).toMatchObject({ code: 0 });
    expectRight('base-el9', generations[0]);
    expectRight('base-debian12', generations[1]);
    const fetched = servers.flatMap(({ requests }) => requests.filter((path) => /\.(?:rpm|deb)$/.test(path)));
    expect(fetched.toSorted()).toEqual(missing.toSorted());
  }
  await expectAccepted(generationAt(round - 1));
});

/** Packages that are not there, neither in their place nor whole among what was received. */
function missingFrom(id: string, { packages }: Generation): readonly string[] {
  const there = stored(id);
  const state = join(work, 'store/.lago', id);
  if (!existsSync(state)) return [...packages.keys()];
  const received = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  return [...packages].filter(([path, content]) => !there.has(path) && !received.some((one) => one.equals(content))).map(([path]) => path);
}

test('the second synchronisation of 2,000 packages fetches no package', async () => {
  const packages = Array.from({ length: 2000 }, (_, index) => rpmPackage(`p${index}`, '1', '1', 'noarch', '0', 64));
  rpm.serve(repositoryOf(packages));
  writeFileSync(join(work, 'many.repo'), `[many-el9]\nbaseurl=${rpm.url}\n`);
  const many = ['repo', 'sync', '--distro', 'el9', 'many.repo'];
  const first = await startLago(many).ended;
  expect(first, first.output).toMatchObject({ code: 0, output: expect.stringContaining('many-el9: 2000 packages') });
  rpm.requests.length = 0;
  const began = performance.now();
  const second = await startLago(many).ended;
  console.info(`The second synchronisation took ${((performance.now() - began) / 1000).toFixed(2)} s.`);
  expect(second, second.output).toMatchObject({ code: 0, output: expect.stringContaining('nothing new') });
  expect(rpm.requests).toEqual(['repodata/repomd.xml']);
  expect(stored('many-el9').size).toBe(2000);
});
