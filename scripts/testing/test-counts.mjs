// Turns the reports of the test runners into counts and names.
import { stripVTControlCharacters } from 'node:util';

/** @typedef {{ passed: number, failed: number, flaky: string[], failures: string[] }} Count */

/** The one failure of a run that ended before it wrote its report. */
const NO_REPORT = ['the run ended without a report'];

/**
 * Counts vitest's JSON report. Skipped tests and files that did not load count as failed: nothing may go untested silently. A test that
 * passed on retry still has its failure messages.
 * @param {any} report
 * @param {number} code exit code of the run
 * @param {boolean} mayBeEmpty whether a run without tests is acceptable, since a change may affect none
 * @param {string[]} failures what `failures-reporter.mjs` wrote
 * @returns {Count}
 */
export function vitestCount(report, code, mayBeEmpty = false, failures = []) {
  if (report === undefined) return { passed: 0, failed: 1, flaky: [], failures: NO_REPORT };
  const { numPassedTests, numTotalTests, success } = report;
  const failed = numTotalTests - numPassedTests;
  const wrong = !success || code !== 0 || (numTotalTests === 0 && !mayBeEmpty);
  const flaky = report.testResults
    .flatMap((/** @type {any} */ file) => file.assertionResults)
    .filter((/** @type {any} */ test) => test.status === 'passed' && test.failureMessages?.length > 0)
    .map((/** @type {any} */ test) => test.fullName);
  return { passed: numPassedTests, failed: failed === 0 && wrong ? 1 : failed, flaky, failures };
}

/**
 * Counts Playwright's JSON report. A test that passed on retry counts as passed and is listed.
 * @param {any} report
 * @param {number} code exit code of the run
 * @returns {Count}
 */
export function playwrightCount(report, code) {
  if (report === undefined) return { passed: 0, failed: 1, flaky: [], failures: NO_REPORT };
  const { expected, unexpected, flaky, skipped } = report.stats;
  const failed = unexpected + skipped;
  const passed = expected + flaky;
  const outside = (report.errors ?? []).map((/** @type {any} */ error) => firstLine(error.message ?? ''));
  return {
    passed,
    failed: failed === 0 && (code !== 0 || passed === 0) ? 1 : failed,
    flaky: specsOf(report.suites, 'flaky').map((spec) => spec.title),
    failures: [...specsOf(report.suites, 'unexpected').map((spec) => `${spec.file} › ${spec.title}: ${specError(spec)}`), ...outside],
  };
}

/** @returns {any[]} the specs of Playwright's report that have a test of this status */
function specsOf(/** @type {any[]} */ suites, /** @type {string} */ status) {
  return suites.flatMap((suite) => [
    ...(suite.specs ?? []).filter((/** @type {any} */ spec) => spec.tests.some((/** @type {any} */ test) => test.status === status)),
    ...specsOf(suite.suites ?? [], status),
  ]);
}

/** @returns {string} why a spec failed the last time */
function specError(/** @type {any} */ spec) {
  const results = spec.tests.flatMap((/** @type {any} */ test) => test.results ?? []);
  return firstLine(results.at(-1)?.error?.message ?? 'no message');
}

/** @returns {string} without the colours that Playwright writes */
function firstLine(/** @type {string} */ text) {
  return stripVTControlCharacters(text).split('\n', 1)[0] ?? '';
}

/** The line that lists the tests that passed only on retry. */
export function flakyLine(/** @type {readonly string[]} */ names) {
  return names.length === 0 ? 'flaky: 0' : `flaky: ${names.length} (${names.join('; ')})`;
}
