import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { flakyLine, playwrightCount, vitestCount } from './test-counts.mjs';

describe('the count of a vitest run', () => {
  it('lists what passed only on retry', { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'lago-counts-'));
    try {
      writeFileSync(
        join(folder, 'some.test.ts'),
        `import { expect, it } from 'vitest';
        let tries = 0;
        it('passes', () => expect(1).toBe(1));
        it('passes the second time', { retry: 1 }, () => expect(++tries).toBe(2));`,
      );
      const vitest = resolve(import.meta.dirname, '../node_modules/vitest/vitest.mjs');
      const report = join(folder, 'report.json');
      const modules = resolve(import.meta.dirname, '../node_modules');
      execFileSync('ln', ['-s', modules, join(folder, 'node_modules')]);
      execFileSync(process.execPath, [vitest, 'run', '--root', folder, '--reporter=json', `--outputFile=${report}`], { stdio: 'ignore' });
      expect(vitestCount(JSON.parse(readFileSync(report, 'utf8')), 0)).toEqual({
        passed: 2,
        failed: 0,
        flaky: ['passes the second time'],
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('counts what did not run, did not load or is missing as failed', () => {
    const report = { numPassedTests: 3, numTotalTests: 4, success: true, testResults: [] };
    expect(vitestCount(report, 0)).toEqual({ passed: 3, failed: 1, flaky: [] });
    expect(vitestCount({ ...report, numTotalTests: 3, success: false }, 1)).toEqual({ passed: 3, failed: 1, flaky: [] });
    expect(vitestCount({ ...report, numTotalTests: 0, numPassedTests: 0 }, 0)).toEqual({ passed: 0, failed: 1, flaky: [] });
    expect(vitestCount(undefined, 0)).toEqual({ passed: 0, failed: 1, flaky: [] });
  });

  it('accepts a run without tests when a change affects none', () => {
    const empty = { numPassedTests: 0, numTotalTests: 0, success: true, testResults: [] };
    expect(vitestCount(empty, 0, true)).toEqual({ passed: 0, failed: 0, flaky: [] });
    expect(vitestCount(empty, 1, true)).toEqual({ passed: 0, failed: 1, flaky: [] });
    expect(vitestCount(undefined, 0, true)).toEqual({ passed: 0, failed: 1, flaky: [] });
  });
});

describe('the count of a Playwright run', () => {
  it('lists what passed only on retry', () => {
    const spec = (title: string, status: string): object => ({ title, tests: [{ status }] });
    const suites = [{ specs: [spec('a', 'expected')], suites: [{ specs: [spec('b', 'flaky'), spec('c', 'unexpected')] }] }];
    const stats = { expected: 1, flaky: 1, unexpected: 1, skipped: 0 };
    expect(playwrightCount({ stats, suites }, 1)).toEqual({ passed: 2, failed: 1, flaky: ['b'] });
    expect(playwrightCount({ stats: { ...stats, unexpected: 0 }, suites }, 0)).toEqual({ passed: 2, failed: 0, flaky: ['b'] });
    expect(playwrightCount({ stats: { expected: 0, flaky: 0, unexpected: 0, skipped: 0 }, suites: [] }, 0).failed).toBe(1);
    expect(playwrightCount(undefined, 0).failed).toBe(1);
  });

  it('says so in one line', () => {
    expect(flakyLine([])).toBe('flaky: 0');
    expect(flakyLine(['a', 'b'])).toBe('flaky: 2 (a; b)');
  });
});
