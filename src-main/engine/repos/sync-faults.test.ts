import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { randomFault, seededRandom, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { DEB, type Kind, type Made, RPM } from './kinds.test-support.ts';
import { syncRepo } from './sync.ts';

const FAILURES = 100;
/** To repeat a failure, set LAGO_SEED to the number in the title of the test. */
const seed = Number(process.env['LAGO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

test(`rpm: right after ${FAILURES} random failures of the server (seed ${seed})`, async () => await afterFailures(RPM), 120_000);
test(`deb: right after ${FAILURES} random failures of the server (seed ${seed})`, async () => await afterFailures(DEB), 120_000);

test('a server that falls silent in the middle of a package is asked for the rest', async () => {
  const store = mkdtempSync(join(tmpdir(), 'lago-silence-'));
  await using server = await startRepositoryServer();
  const large = RPM.make('large', '1', 400_000);
  server.serve(RPM.serve([large]));
  const ranges: (string | undefined)[] = [];
  server.watch(({ url = '', headers }) => void (url.endsWith(large.path) && ranges.push(headers.range)));
  server.fail((path) => (path === large.path && ranges.length === 1 ? { kind: 'stall', share: 0.5 } : undefined));
  try {
    const section = { ...RPM.section(server.url), connection: { sslVerify: true, retries: 10, timeout: 1 } };
    expect(await syncRepo(section, { store, log: silentLog, env: {}, backOffMs: 1 })).toMatchObject({ packages: 1, problems: [] });
    expect([ranges[0], ranges.at(-1)]).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d+-$/)]);
    expect(wrongFiles(join(store, 'tiny'), 'rpm', [large])).toEqual([]);
  } finally {
    rmSync(store, { recursive: true });
  }
});

async function afterFailures<P extends Made>({ kind, make, serve, section: sectionOf, index }: Kind<P>): Promise<void> {
  const random = seededRandom(seed);
  const store = mkdtempSync(join(tmpdir(), 'lago-faults-'));
  await using server = await startRepositoryServer();
  const section = sectionOf(server.url);
  const folder = join(store, 'tiny');
  const options = { store, log: silentLog, env: {}, backOffMs: 1 };
  try {
    let failures = 0;
    let packages: P[] = [];
    const wrongly: string[] = [];
    for (let round = 0; failures < FAILURES; round++) {
      // A part of the packages changes, also in size: some are received in pieces.
      packages = Array.from({ length: 12 }, (_, at) => {
        const before = packages[at];
        if (before !== undefined && random() < 0.6) return before;
        return make(`p${at}`, `${round + 1}`, random() < 0.2 ? 400_000 : 300);
      });
      server.serve(serve(packages));
      server.fail(() => {
        if (random() > 0.35) return undefined;
        failures += 1;
        return randomFault(random);
      });
      await syncRepo(section, options).catch(() => undefined);
      wrongly.push(...wrongFiles(folder, kind, packages));
    }
    expect(wrongly, 'files that were never right').toEqual([]);
    server.fail(undefined);
    expect(await syncRepo(section, options)).toMatchObject({ packages: 12, problems: [] });
    expect(packagesIn(folder, kind)).toEqual(packages.map(({ path }) => path).toSorted());
    expect(readdirSync(join(store, '.lago/tiny')).toSorted()).toEqual(['last-sync.json', 'lock', 'record.json']);
    server.requests.length = 0;
    await syncRepo(section, options);
    expect(server.requests).toEqual([index]);
  } finally {
    rmSync(store, { recursive: true });
  }
}

function packagesIn(folder: string, kind: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(`.${kind}`))
    .toSorted();
}

/** Packages under a name of the current ones with another content: never, whatever went wrong. */
function wrongFiles(folder: string, kind: string, packages: readonly Made[]): readonly string[] {
  const right = new Map(packages.map(({ path, content }) => [path, content]));
  return packagesIn(folder, kind).filter((path) => right.get(path)?.equals(readFileSync(join(folder, path))) === false);
}
