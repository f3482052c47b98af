import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { seededRandom, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { type InventedPackage, repositoryOf, rpmPackage, rpmSection } from './rpm/repository.test-support.ts';
import { syncRepo } from './sync.ts';

const KILLS = 50;
/** To repeat a failure, set LAGO_SEED to the number in the title of the test. */
const seed = Number(process.env['LAGO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const ROOT = join(import.meta.dirname, '../../..');

/** A process that synchronises. */
function startSync(store: string, url: string) {
  const program = `
    const { syncRepo } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'sync.ts')).href)});
    const { silentLog } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../core/log.ts')).href)});
    await syncRepo(${JSON.stringify(rpmSection(url))}, { store: ${JSON.stringify(store)}, log: silentLog, env: {} });
  `;
  const argv = ['--import', join(ROOT, 'scripts/typescript.mjs'), '--input-type=module', '--eval', program];
  const child = spawn(process.execPath, argv, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return { kill: () => child.kill('SIGKILL'), ended };
}

test(`killed at ${KILLS} random moments, the next synchronisation ends right and fetches only what is missing (seed ${seed})`, async () => {
  const random = seededRandom(seed);
  const store = mkdtempSync(join(tmpdir(), 'lago-kills-'));
  await using server = await startRepositoryServer();
  const folder = join(store, 'tiny-el9');
  try {
    let packages: readonly InventedPackage[] = [];
    let ends = 0;
    for (let kills = 0; kills < KILLS; kills++) {
      packages = Array.from({ length: 20 }, (_, index) => {
        const before = packages[index];
        if (before !== undefined && random() < 0.7) return before;
        return rpmPackage(`p${index}`, `${kills + 1}`, '1', 'noarch', '0', random() < 0.2 ? 400_000 : 300);
      });
      server.serve(repositoryOf(packages));
      const process_ = startSync(store, server.url);
      // A moment after any of its requests: after the last ones it writes metadata and its record.
      const fatal = 1 + Math.floor(random() * 12);
      let seen = 0;
      server.watch(() => {
        seen += 1;
        if (seen === fatal) setTimeout(process_.kill, random() * 30);
      });
      await process_.ended;
      server.watch(undefined);
      if (seen < fatal) ends += 1;
      const there = new Set(complete(folder, packages));
      server.requests.length = 0;
      expect(await syncRepo(rpmSection(server.url), { store, log: silentLog, env: {} })).toMatchObject({ packages: 20, problems: [] });
      expect(complete(folder, packages)).toHaveLength(20);
      expect(
        server.requests.filter((path) => there.has(path)),
        'fetched again',
      ).toEqual([]);
    }
    expect(ends, 'most were killed').toBeLessThan(KILLS / 2);
    expect(readdirSync(join(store, '.lago/tiny-el9')).toSorted()).toEqual(['lock', 'record.json']);
  } finally {
    rmSync(store, { recursive: true });
  }
}, 300_000);

/** The packages that are in their place; each with the right content, at every moment. */
function complete(folder: string, packages: readonly InventedPackage[]): readonly string[] {
  const right = new Map(packages.map(({ location, content }) => [location, content]));
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.rpm') && right.has(path));
  for (const path of paths) expect(right.get(path)?.equals(readFileSync(join(folder, path))), path).toBe(true);
  return paths;
}
