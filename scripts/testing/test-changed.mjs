// Selects the tests that a change can affect.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root } from '../steps.mjs';

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

/** The base commit of a change: where it branched off `main`. On `main` HEAD, or its parent when nothing is uncommitted. */
export function changeBase() {
  for (const main of ['origin/main', 'main']) {
    try {
      const base = git('merge-base', 'HEAD', main);
      if (base !== git('rev-parse', 'HEAD')) return base;
    } catch (error) {
      // This clone has no such branch.
      if (/** @type {any} */ (error).status === undefined) throw error;
    }
  }
  return git('status', '--porcelain') === '' ? git('rev-parse', 'HEAD~1') : git('rev-parse', 'HEAD');
}

/** Paths that differ from `base`, committed or not, including new ones. */
export function changedFiles(base) {
  const tracked = git('diff', '--name-only', base);
  const fresh = git('ls-files', '--others', '--exclude-standard');
  return `${tracked}\n${fresh}`.split('\n').filter((file) => file !== '');
}

/**
 * Whether lab tests, and which end-to-end specs, can be affected by those files. vitest itself knows which test files import what
 * changed, but not what runs in other processes or is built into the sample guest.
 * @param {readonly string[]} files
 * @returns {{ lab: 'all' | 'changed' | 'none', e2e: string[] }} lab tests: all, or those that import what changed; specs by path, or `all`
 */
export function reachOf(files) {
  const code = files.filter((file) => !/^docs\/|\.md$|^bench\/|^torture\/|\.(test|test-support|fake)\.tsx?$/.test(file));
  const lab = labReach(files, code);
  const specs = code.filter((file) => /^e2e\/.*\.spec\.ts$/.test(file));
  const others = code.filter((file) => !specs.includes(file));
  if (others.length === 0) return { lab, e2e: specs };
  const inWindow = others.every((file) => file.startsWith('src-renderer/'));
  const inCli = others.every((file) => file.startsWith('src-main/cli/'));
  if (!inWindow && !inCli) return { lab, e2e: ['all'] };
  const by = inWindow ? /from '\.{1,2}\/support\/(window|demo-page)\.ts'/ : /from '\.{1,2}\/support\/lago\.ts'|out\/cli/;
  const using = specsThat((text) => by.test(text));
  return { lab, e2e: [...new Set([...specs, ...using])] };
}

/** @returns {'all' | 'changed' | 'none'} */
function labReach(/** @type {readonly string[]} */ files, /** @type {readonly string[]} */ code) {
  if (code.some((file) => /^(resources|scripts|fixtures)\/|^package(-lock)?\.json$|^vitest\.config\.ts$/.test(file))) return 'all';
  return files.some((file) => /^src-(main\/engine|shared)\//.test(file)) ? 'changed' : 'none';
}

function specsThat(fits) {
  const folder = path.join(root, 'e2e');
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.spec.ts') && fits(fs.readFileSync(path.join(folder, name), 'utf8')))
    .map((name) => `e2e/${name}`);
}
