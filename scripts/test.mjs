// npm test: sets up, runs every check and test, and ends with the sum of all counts.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setUp } from './setup.mjs';
import { root, script } from './steps.mjs';
import { openVirtualScreen } from './virtual-screen.mjs';

const REPORTS = path.join(root, 'test-results');

/** @typedef {{ passed: number, failed: number }} Count */

/** Runs a program with its output on the terminal; answers its exit code, 1 when it did not start or was killed. */
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

/**
 * A skipped test and a file that did not load count as failed: nothing may go untested silently.
 * @returns {Count}
 */
function vitestCount(report, code) {
  if (!fs.existsSync(report)) return { passed: 0, failed: 1 };
  const { numPassedTests, numTotalTests, success } = JSON.parse(fs.readFileSync(report, 'utf8'));
  const failed = numTotalTests - numPassedTests;
  return { passed: numPassedTests, failed: failed === 0 && (!success || code !== 0 || numTotalTests === 0) ? 1 : failed };
}

/** @returns {Count} */
function playwrightCount(report, code) {
  if (!fs.existsSync(report)) return { passed: 0, failed: 1 };
  const { expected, unexpected, flaky, skipped } = JSON.parse(fs.readFileSync(report, 'utf8')).stats;
  const failed = unexpected + flaky + skipped;
  return { passed: expected, failed: failed === 0 && (code !== 0 || expected === 0) ? 1 : failed };
}

async function vitest(project, env) {
  const report = path.join(REPORTS, `${project}.json`);
  const bin = path.join(root, 'node_modules/vitest/vitest.mjs');
  const code = await run(
    [process.execPath, bin, 'run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    env,
  );
  return vitestCount(report, code);
}

async function playwright(env) {
  const report = path.join(REPORTS, 'e2e.json');
  const bin = path.join(root, 'node_modules/@playwright/test/cli.js');
  const code = await run([process.execPath, bin, 'test', '-c', 'e2e/playwright.config.ts', '--reporter=list,json'], {
    ...env,
    PLAYWRIGHT_JSON_OUTPUT_NAME: report,
  });
  return playwrightCount(report, code);
}

async function check(env) {
  const code = await run(['npm', 'run', '-s', 'check'], env);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
}

await script(async () => {
  // Nothing that a test starts may reach beyond this machine.
  Object.assign(process.env, { LAGO_CONFINED: '1', LAGO_UPLINK: 'none' });
  const runtime = await setUp({ tests: true, display: false });
  fs.mkdirSync(REPORTS, { recursive: true });
  for (const name of fs.readdirSync(REPORTS)) if (name.endsWith('.json')) fs.rmSync(path.join(REPORTS, name));
  const screen = await openVirtualScreen();
  const { WAYLAND_DISPLAY: _wayland, ...inherited } = process.env;
  const env = { ...inherited, DISPLAY: screen.display, ELECTRON_OVERRIDE_DIST_PATH: runtime.dist };
  /** @type {readonly (readonly [string, () => Promise<Count>])[]} */
  const stages = [
    ['checks', () => check(env)],
    ['unit tests', () => vitest('unit', env)],
    ['lab tests', () => vitest('lab', env)],
    ['window and command line end to end', () => playwright(env)],
  ];
  const results = [];
  try {
    for (const [title, stage] of stages) {
      console.log(`\n=== ${title}`);
      const since = Date.now();
      results.push({ title, ...(await stage()), seconds: ((Date.now() - since) / 1000).toFixed(0) });
    }
  } finally {
    screen.close();
  }
  console.log('');
  for (const { title, passed, failed, seconds } of results) console.log(`${title}: ${passed} passed, ${failed} failed (${seconds} s)`);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
