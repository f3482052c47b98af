// Turns the reports of the test runners into counts and names.

/** @typedef {{ passed: number, failed: number, flaky: string[] }} Count */

/**
 * Counts vitest's JSON report. Skipped tests and files that did not load count as failed: nothing may go untested silently. A test that
 * passed on retry still has its failure messages.
 * @param {any} report
 * @param {number} code exit code of the run
 * @param {boolean} mayBeEmpty whether a run without tests is acceptable, since a change may affect none
 * @returns {Count}
 */
export function vitestCount(report, code, mayBeEmpty = false) {
  if (report === undefined) return { passed: 0, failed: 1, flaky: [] };
  const { numPassedTests, numTotalTests, success } = report;
  const failed = numTotalTests - numPassedTests;
  const wrong = !success || code !== 0 || (numTotalTests === 0 && !mayBeEmpty);
  const flaky = report.testResults
    .flatMap((/** @type {any} */ file) => file.assertionResults)
    .filter((/** @type {any} */ test) => test.status === 'passed' && test.failureMessages?.length > 0)
    .map((/** @type {any} */ test) => test.fullName);
  return { passed: numPassedTests, failed: failed === 0 && wrong ? 1 : failed, flaky };
}

/**
 * Counts Playwright's JSON report. A test that passed on retry counts as passed and is listed.
 * @param {any} report
 * @param {number} code exit code of the run
 * @returns {Count}
 */
export function playwrightCount(report, code) {
  if (report === undefined) return { passed: 0, failed: 1, flaky: [] };
  const { expected, unexpected, flaky, skipped } = report.stats;
  const failed = unexpected + skipped;
  const passed = expected + flaky;
  return { passed, failed: failed === 0 && (code !== 0 || passed === 0) ? 1 : failed, flaky: report.suites.flatMap(flakyIn) };
}

/** @returns {string[]} titles of the tests in a suite of Playwright's report that passed only on retry */
function flakyIn(/** @type {any} */ suite) {
  const own = (suite.specs ?? []).filter((/** @type {any} */ spec) =>
    spec.tests.some((/** @type {any} */ test) => test.status === 'flaky'),
  );
  return [...own.map((/** @type {any} */ spec) => spec.title), ...(suite.suites ?? []).flatMap(flakyIn)];
}

/** The line that lists the tests that passed only on retry. */
export function flakyLine(/** @type {readonly string[]} */ names) {
  return names.length === 0 ? 'flaky: 0' : `flaky: ${names.length} (${names.join('; ')})`;
}
