// npm test: sets up, runs every check and test, and ends with the total count. `npm test -- --changed` runs what a change can affect.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setUp } from './setup.mjs';
import { root, script } from './steps.mjs';
import { changeBase, changedFiles, reachOf } from './testing/test-changed.mjs';
import { flakyLine, playwrightCount, vitestCount } from './testing/test-counts.mjs';
import { openVirtualScreen } from './virtual-screen.mjs';

const REPORTS = path.join(root, 'test-results');
/** Window tests wait for guests most of the time, and a booting guest keeps one core busy. */
const WINDOW_WORKERS = 2;

/** @typedef {import('./testing/test-counts.mjs').Count} Count */

/** Runs a program with its output on the terminal; returns its exit code, 1 when it did not start or was killed. */
async function run(argv, env) {
  return await new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function readReport(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

/** @returns {Promise<Count>} */
async function vitest(project, env, more = []) {
  const report = path.join(REPORTS, `${project}.json`);
  const failures = path.join(REPORTS, `${project}-failures.json`);
  const bin = path.join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['default', 'json', path.join(root, 'scripts/testing/failures-reporter.mjs')].map((name) => `--reporter=${name}`);
  const code = await run([process.execPath, bin, 'run', '--project', project, ...reporters, `--outputFile.json=${report}`, ...more], {
    ...env,
    LAGO_TEST_FAILURES: failures,
  });
  return vitestCount(readReport(report), code, more.includes('--passWithNoTests'), readReport(failures));
}

/** @returns {Promise<Count>} */
async function playwright(env, specs = []) {
  const report = path.join(REPORTS, 'e2e.json');
  const bin = path.join(root, 'node_modules/@playwright/test/cli.js');
  const code = await run([process.execPath, bin, 'test', '-c', 'e2e/playwright.config.ts', '--reporter=list,json', ...specs], {
    ...env,
    PLAYWRIGHT_JSON_OUTPUT_NAME: report,
  });
  return playwrightCount(readReport(report), code);
}

/** @returns {Promise<Count>} */
async function check(env) {
  const code = await run(['npm', 'run', '-s', 'check'], env);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, flaky: [], failures: [] };
}

/**
 * All stages, or with `--changed` those that the change since `main` can affect.
 * @returns {readonly (readonly [string, () => Promise<Count>])[]}
 */
function stagesFor(env) {
  const checks = /** @type {const} */ (['checks', () => check(env)]);
  const e2e = 'window and command line end to end';
  if (!process.argv.includes('--changed')) {
    return [checks, ['unit tests', () => vitest('unit', env)], ['lab tests', () => vitest('lab', env)], [e2e, () => playwright(env)]];
  }
  const base = changeBase();
  const reach = reachOf(changedFiles(base));
  const more = [`--changed=${base}`, '--passWithNoTests'];
  const stages = [checks, /** @type {const} */ (['unit tests', () => vitest('unit', env, more)])];
  if (reach.lab !== 'none') stages.push(['lab tests', () => vitest('lab', env, reach.lab === 'all' ? [] : more)]);
  if (reach.e2e.length > 0) stages.push([e2e, () => playwright(env, reach.e2e[0] === 'all' ? [] : reach.e2e)]);
  return stages;
}

await script(async () => {
  // Nothing that a test starts may send packets outside this machine.
  Object.assign(process.env, { LAGO_CONFINED: '1', LAGO_UPLINK: 'none' });
  const runtime = await setUp({ tests: true, display: false });
  fs.mkdirSync(REPORTS, { recursive: true });
  for (const name of fs.readdirSync(REPORTS)) if (name.endsWith('.json')) fs.rmSync(path.join(REPORTS, name));
  // One for each worker of the window tests: windows on one screen would take the focus from each other.
  const screens = [];
  for (let count = 0; count < WINDOW_WORKERS; count++) screens.push(await openVirtualScreen());
  const displays = screens.map(({ display }) => display);
  const { WAYLAND_DISPLAY: _wayland, ...inherited } = process.env;
  const env = { ...inherited, DISPLAY: displays[0], LAGO_TEST_DISPLAYS: displays.join(' '), ELECTRON_OVERRIDE_DIST_PATH: runtime.dist };
  const stages = stagesFor(env);
  const results = [];
  try {
    for (const [title, stage] of stages) {
      console.log(`\n=== ${title}`);
      const since = Date.now();
      results.push({ title, ...(await stage()), seconds: ((Date.now() - since) / 1000).toFixed(0) });
    }
  } finally {
    for (const screen of screens) screen.close();
  }
  console.log('');
  for (const { title, passed, failed, seconds } of results) console.log(`${title}: ${passed} passed, ${failed} failed (${seconds} s)`);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  // Once more at the end: the failures themselves are thousands of lines above.
  for (const { title, failures } of results) for (const failure of failures) console.log(`failed in ${title}: ${failure}`);
  console.log(flakyLine(results.flatMap((result) => result.flaky)));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
