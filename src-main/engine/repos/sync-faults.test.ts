import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { randomFault, seededRandom, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { type InventedPackage, repositoryOf, rpmPackage, rpmSection } from './rpm/repository.test-support.ts';
import { syncRepo } from './sync.ts';

const FAILURES = 100;
/** To repeat a failure, set LAGO_SEED to the number in the title of the test. */
const seed = Number(process.env['LAGO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

test(`right after ${FAILURES} random failures of the server (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  const store = mkdtempSync(join(tmpdir(), 'lago-faults-'));
  await using server = await startRepositoryServer();
  const section = rpmSection(server.url, { connection: { sslVerify: true, retries: 3 } });
  const options = { store, log: silentLog, env: {}, backOffMs: 1 };
  try {
    let failures = 0;
    let packages: InventedPackage[] = [];
    const wrongly: string[] = [];
    for (let round = 0; failures < FAILURES; round++) {
      // A part of the packages changes, also in size: some are received in pieces.
      packages = Array.from({ length: 12 }, (_, index) => {
        const before = packages[index];
        if (before !== undefined && random() < 0.6) return before;
        return rpmPackage(`p${index}`, `${round + 1}`, '1', 'noarch', '0', random() < 0.2 ? 400_000 : 300);
      });
      server.serve(repositoryOf(packages));
      server.fail(() => {
        if (random() > 0.35) return undefined;
        failures += 1;
        return randomFault(random);
      });
      await syncRepo(section, options).catch(() => undefined);
      wrongly.push(...wrongFiles(join(store, 'tiny-el9'), packages));
    }
    expect(wrongly, 'files that were never right').toEqual([]);
    server.fail(undefined);
    expect(await syncRepo(section, options)).toMatchObject({ packages: 12, problems: [] });
    expect(packagesIn(join(store, 'tiny-el9'))).toEqual(packages.map(({ location }) => location).toSorted());
    expect(readdirSync(join(store, '.lago/tiny-el9')).toSorted()).toEqual(['lock', 'record.json']);
    server.requests.length = 0;
    await syncRepo(section, options);
    expect(server.requests).toEqual(['repodata/repomd.xml']);
  } finally {
    rmSync(store, { recursive: true });
  }
}, 120_000);

function packagesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.rpm'))
    .toSorted();
}

/** Packages under a name of the current ones with another content: never, whatever went wrong. */
function wrongFiles(folder: string, packages: readonly InventedPackage[]): readonly string[] {
  const right = new Map(packages.map(({ location, content }) => [location, content]));
  return packagesIn(folder).filter((path) => right.get(path)?.equals(readFileSync(join(folder, path))) === false);
}
