import { type CliPlugin, PLUGIN_API_VERSION } from '../contract.ts';

const ACTIONS = [
  'runtest',
  'status',
  'start',
  'stop',
  'start-hosts',
  'stop-hosts',
  'start-vms',
  'stop-vms',
  'engine-setup',
  'add-iso',
  'deploy',
  'collect',
];

/** `lago ovirt ACTION`. */
export const OVIRT_VERB: CliPlugin = {
  apiVersion: PLUGIN_API_VERSION,
  kind: 'cli',
  name: 'ovirt',
  summary: 'oVirt related actions',
  description: [
    '"runtest FILE" runs the tests of a Python file on the environment, each as a task: nose-style or for pytest. The results are in nosetests-FILE.xml of the prefix (JUnit), and after each failed test the artifacts of the VMs are collected into test_logs of the prefix.',
    '"start" starts the VMs of the environment, waits for engine and hosts, and activates the hosts; "stop" stops the engine\'s VMs, puts the hosts into maintenance, and shuts the VMs down. "start-hosts", "stop-hosts", "start-vms" and "stop-vms" do one of these; "status" prints what the engine says of itself. "engine-setup" and "add-iso PATH" run their programs in the engine\'s VM. "deploy" and "collect" are those of lago.',
  ].join('\n'),
  positionals: [
    { name: 'action', metavar: 'ACTION', arity: 'one', choices: ACTIONS, help: 'What to do.' },
    { name: 'args', metavar: 'ARG', arity: 'many', help: 'What the action needs: FILE, PATH.', completes: 'file' },
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
    { flags: ['--with-vms'], name: 'with_vms', kind: 'flag', help: "start: also start the engine's VMs." },
    {
      flags: ['--vms-timeout'],
      name: 'vms_timeout',
      kind: 'value',
      type: 'integer',
      metavar: 'SECONDS',
      help: "start, start-vms: how long to wait for each of the engine's VMs (default 480).",
    },
    { flags: ['--config'], name: 'config', kind: 'value', metavar: 'FILE', help: 'engine-setup: the file with its answers.' },
    { flags: ['--output'], name: 'output', kind: 'value', metavar: 'DIR', help: 'collect: where to.' },
    { flags: ['--no-skip'], name: 'no_skip', kind: 'flag', help: 'collect: missing paths are an error.' },
  ],
  examples: [
    { line: 'ovirt runtest tests/001_basic.py', does: 'Runs the tests of a file on the current environment.' },
    { line: 'ovirt engine-setup --config answers.conf', does: 'Sets up the engine.' },
    { line: 'ovirt start --with-vms', does: "Starts everything, the engine's VMs too." },
  ],
  async run(call) {
    return await (await import('./actions.ts')).runAction(call);
  },
};
