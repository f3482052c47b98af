// A reporter for vitest: writes to the file named by LAGO_TEST_FAILURES what failed, a line each. vitest's own JSON report has neither the
// errors of hooks of a suite nor those that no test caught.
import fs from 'node:fs';

/** @returns {string} the first line of an error's message */
const firstLine = (/** @type {any} */ error) => String(error?.message ?? error).split('\n', 1)[0] ?? '';

/** @returns {string[]} the failures of one suite or test file: its hooks, its tests, its suites */
function failuresIn(/** @type {any} */ suite, /** @type {string} */ name) {
  const own = suite.errors().map((/** @type {any} */ error) => `${name}: ${firstLine(error)}`);
  const below = [...suite.children].flatMap((/** @type {any} */ child) => {
    const childName = `${name} › ${child.name}`;
    if (child.type === 'suite') return failuresIn(child, childName);
    const result = child.result();
    return result.state === 'failed' ? [`${childName}: ${firstLine(result.errors[0])}`] : [];
  });
  return [...own, ...below];
}

// oxlint-disable-next-line no-default-export -- vitest takes a reporter's default export
export default class FailuresReporter {
  onTestRunEnd(/** @type {readonly any[]} */ modules, /** @type {readonly any[]} */ unhandled) {
    const file = process.env['LAGO_TEST_FAILURES'];
    if (file === undefined) return;
    const uncaught = unhandled.map((error) =>
      `not caught by any test: ${firstLine(error)} ${error.stack?.split('\n')[1]?.trim() ?? ''}`.trim(),
    );
    fs.writeFileSync(file, JSON.stringify([...modules.flatMap((module) => failuresIn(module, module.relativeModuleId)), ...uncaught]));
  }
}
