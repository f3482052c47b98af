// What the reports of the test runners say, as counts and names.

/** @typedef {{ passed: number, failed: number, flaky: string[] }} Count */

/**
 * Of vitest's JSON report. A skipped test and a file that did not load count as failed: nothing may go untested silently. A test that
 * passed after it had failed keeps what it failed with.
 * @param {any} report
 * @param {number} code exit code of the run
 * @param {boolean} mayBeEmpty whether a run without a test is in order: a change may touch none
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
 * Of Playwright's JSON report. What passed when it was tried again counts as passed, and is named.
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

/** @returns {string[]} titles of the tests in a suite of Playwright's report that passed only when tried again */
function flakyIn(/** @type {any} */ suite) {
  const own = (suite.specs ?? []).filter((/** @type {any} */ spec) =>
    spec.tests.some((/** @type {any} */ test) => test.status === 'flaky'),
  );
  return [...own.map((/** @type {any} */ spec) => spec.title), ...(suite.suites ?? []).flatMap(flakyIn)];
}

/** The line that names what passed only when it was tried again. */
export function flakyLine(/** @type {readonly string[]} */ names) {
  return names.length === 0 ? 'flaky: 0' : `flaky: ${names.length} (${names.join('; ')})`;
}
