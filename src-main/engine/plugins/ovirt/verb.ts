import { type CliPlugin, PLUGIN_API_VERSION } from '../contract.ts';

/** `lago ovirt ACTION`. */
export const OVIRT_VERB: CliPlugin = {
  apiVersion: PLUGIN_API_VERSION,
  kind: 'cli',
  name: 'ovirt',
  summary: 'Test environments of oVirt',
  description:
    '"runtest FILE" runs the tests of a Python file on the environment, each as a task: nose-style or for pytest. The results are in nosetests-FILE.xml of the prefix (JUnit), and after each failed test the artifacts of the VMs are collected into test_logs of the prefix.',
  positionals: [
    { name: 'action', metavar: 'ACTION', arity: 'one', choices: ['runtest'], help: 'What to do.' },
    { name: 'args', metavar: 'ARG', arity: 'many', help: 'What the action needs: FILE.', completes: 'file' },
  ],
  options: [
    {
      flags: ['--junitxml-file'],
      name: 'junitxml_file',
      kind: 'value',
      metavar: 'FILE',
      help: 'runtest: write the results to this file instead.',
    },
    {
      flags: ['--python'],
      name: 'python',
      kind: 'value',
      metavar: 'PROGRAM',
      help: 'runtest: the interpreter; by default the first of python3 and /usr/bin/python3 that has pytest.',
    },
  ],
  examples: [{ line: 'ovirt runtest tests/001_basic.py', does: 'Runs the tests of a file on the current environment.' }],
  async run(call) {
    return await (await import('./actions.ts')).runAction(call);
  },
};
