import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import type { RepoSection } from './definition/section.ts';
import { seededRandom, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { DEB, type Kind, type Made, RPM } from './kinds.test-support.ts';
import { syncRepo } from './sync.ts';

const KILLS = 50;
/** To repeat a failure, set LAGO_SEED to the number in the title of the test. */
const seed = Number(process.env['LAGO_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const ROOT = join(import.meta.dirname, '../../..');

/** A process that synchronises. */
function startSync(store: string, section: RepoSection) {
  const program = `
    const { syncRepo } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'sync.ts')).href)});
    const { silentLog } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../core/log.ts')).href)});
    await syncRepo(${JSON.stringify(section)}, { store: ${JSON.stringify(store)}, log: silentLog, env: {} });
  `;
  const argv = ['--import', join(ROOT, 'scripts/typescript.mjs'), '--input-type=module', '--eval', program];
  const child = spawn(process.execPath, argv, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return { kill: () => child.kill('SIGKILL'), ended };
}

const TITLE = `killed at ${KILLS} random moments, the next synchronisation ends right and fetches only what is missing (seed ${seed})`;
test(`rpm: ${TITLE}`, async () => await afterKills(RPM), 300_000);
test(`deb: ${TITLE}`, async () => await afterKills(DEB), 300_000);

async function afterKills<P extends Made>({ kind, make, serve, section: sectionOf }: Kind<P>): Promise<void> {
  const random = seededRandom(seed);
  const store = mkdtempSync(join(tmpdir(), 'lago-kills-'));
  await using server = await startRepositoryServer();
  const folder = join(store, 'tiny');
  const section = sectionOf(server.url);
  try {
    let packages: readonly P[] = [];
    let ends = 0;
    for (let kills = 0; kills < KILLS; kills++) {
      packages = Array.from({ length: 20 }, (_, index) => {
        const before = packages[index];
        if (before !== undefined && random() < 0.7) return before;
        return make(`p${index}`, `${kills + 1}`, random() < 0.2 ? 400_000 : 300);
      });
      server.serve(serve(packages));
      const process_ = startSync(store, section);
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
      const there = new Set(complete(folder, kind, packages));
      server.requests.length = 0;
      expect(await syncRepo(section, { store, log: silentLog, env: {} })).toMatchObject({ packages: 20, problems: [] });
      expect(complete(folder, kind, packages)).toHaveLength(20);
      expect(
        server.requests.filter((path) => there.has(path)),
        'fetched again',
      ).toEqual([]);
    }
    expect(ends, 'most were killed').toBeLessThan(KILLS / 2);
    expect(readdirSync(join(store, '.lago/tiny')).toSorted()).toEqual(['last-sync.json', 'lock', 'record.json']);
  } finally {
    rmSync(store, { recursive: true });
  }
}

/** The packages that are in their place; each with the right content, at every moment. */
function complete(folder: string, kind: string, packages: readonly Made[]): readonly string[] {
  const right = new Map(packages.map(({ path, content }) => [path, content]));
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(`.${kind}`) && right.has(path));
  for (const path of paths) expect(right.get(path)?.equals(readFileSync(join(folder, path))), path).toBe(true);
  return paths;
}
