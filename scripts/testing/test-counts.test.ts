import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { flakyLine, playwrightCount, vitestCount } from './test-counts.mjs';

/** Runs one test file with the reporters of `npm test`; returns what they wrote. */
function runVitest(text: string): { report: unknown; failures: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'lago-counts-'));
  try {
    writeFileSync(join(folder, 'some.test.ts'), text);
    execFileSync('ln', ['-s', resolve(import.meta.dirname, '../node_modules'), join(folder, 'node_modules')]);
    const [report, failures] = [join(folder, 'report.json'), join(folder, 'failures.json')];
    const reporters = ['json', resolve(import.meta.dirname, 'failures-reporter.mjs')].map((name) => `--reporter=${name}`);
    const vitest = resolve(import.meta.dirname, '../../node_modules/vitest/vitest.mjs');
    spawnSync(process.execPath, [vitest, 'run', '--root', folder, ...reporters, `--outputFile.json=${report}`], {
      env: { ...process.env, LAGO_TEST_FAILURES: failures },
    });
    return { report: JSON.parse(readFileSync(report, 'utf8')), failures: JSON.parse(readFileSync(failures, 'utf8')) as string[] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the count of a vitest run', () => {
  it('lists what passed only on retry', { timeout: 60_000 }, () => {
    const { report, failures } = runVitest(`import { expect, it } from 'vitest';
      let tries = 0;
      it('passes', () => expect(1).toBe(1));
      it('passes the second time', { retry: 1 }, () => expect(++tries).toBe(2));`);
    expect(vitestCount(report, 0, false, failures)).toEqual({ passed: 2, failed: 0, flaky: ['passes the second time'], failures: [] });
  });

  it('names what failed: tests, hooks of suites, and errors that no test caught', { timeout: 60_000 }, () => {
    const { report, failures } = runVitest(`import { afterAll, describe, expect, it } from 'vitest';
      it('passes', () => expect(1).toBe(1));
      describe('a suite', () => {
        afterAll(() => { throw new Error('its hook'); });
        it('fails', () => { throw new Error('its own error\\nin two lines'); });
        it('leaves a promise', () => { void Promise.reject(new Error('nobody waits')); });
      });`);
    expect(vitestCount(report, 1, false, failures)).toEqual({
      passed: 2,
      failed: 1,
      flaky: [],
      failures: [
        'some.test.ts › a suite: its hook',
        'some.test.ts › a suite › fails: its own error',
        expect.stringMatching(/^not caught by any test: nobody waits at .*some\.test\.ts/),
      ],
    });
  });

  it('counts what did not run, did not load or is missing as failed', () => {
    const report = { numPassedTests: 3, numTotalTests: 4, success: true, testResults: [] };
    expect(vitestCount(report, 0)).toEqual({ passed: 3, failed: 1, flaky: [], failures: [] });
    expect(vitestCount({ ...report, numTotalTests: 3, success: false }, 1)).toEqual({ passed: 3, failed: 1, flaky: [], failures: [] });
    expect(vitestCount({ ...report, numTotalTests: 0, numPassedTests: 0 }, 0)).toEqual({ passed: 0, failed: 1, flaky: [], failures: [] });
    expect(vitestCount(undefined, 0)).toMatchObject({ passed: 0, failed: 1, failures: ['the run ended without a report'] });
  });

  it('accepts a run without tests when a change affects none', () => {
    const empty = { numPassedTests: 0, numTotalTests: 0, success: true, testResults: [] };
    expect(vitestCount(empty, 0, true)).toEqual({ passed: 0, failed: 0, flaky: [], failures: [] });
    expect(vitestCount(empty, 1, true)).toEqual({ passed: 0, failed: 1, flaky: [], failures: [] });
    expect(vitestCount(undefined, 0, true)).toMatchObject({ passed: 0, failed: 1 });
  });
});

describe('the count of a Playwright run', () => {
  it('lists what passed only on retry', () => {
    const results = [{ error: { message: '\u001b[31mfirst\u001b[39m' } }, { error: { message: '\u001b[31mlast\u001b[39m\nmore' } }];
    const spec = (title: string, status: string): object => ({ file: 'some.spec.ts', title, tests: [{ status, results }] });
    const suites = [{ specs: [spec('a', 'expected')], suites: [{ specs: [spec('b', 'flaky'), spec('c', 'unexpected')] }] }];
    const stats = { expected: 1, flaky: 1, unexpected: 1, skipped: 0 };
    expect(playwrightCount({ stats, suites, errors: [{ message: 'a worker ended' }] }, 1)).toEqual({
      passed: 2,
      failed: 1,
      flaky: ['b'],
      failures: ['some.spec.ts › c: last', 'a worker ended'],
    });
    expect(playwrightCount({ stats: { ...stats, unexpected: 0 }, suites }, 0)).toMatchObject({ passed: 2, failed: 0, flaky: ['b'] });
    expect(playwrightCount({ stats: { expected: 0, flaky: 0, unexpected: 0, skipped: 0 }, suites: [] }, 0).failed).toBe(1);
    expect(playwrightCount(undefined, 0).failed).toBe(1);
  });

  it('says so in one line', () => {
    expect(flakyLine([])).toBe('flaky: 0');
    expect(flakyLine(['a', 'b'])).toBe('flaky: 2 (a; b)');
  });
});
