import { type CliPlugin, PLUGIN_API_VERSION } from '../contract.ts';

const ACTIONS = [
  'reposetup',
  'serve',
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
  'cpu-family',
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
    '"reposetup" synchronises the package repositories for engine and hosts and merges them with the custom sources, as "lago repo sync" and "lago repo merge" do; "serve" serves the result like "lago repo serve".',
    '"runtest FILE" runs the tests of a Python file on the environment, each as a task: nose-style or for pytest. The results are in nosetests-FILE.xml of the prefix (JUnit), and after each failed test the artifacts of the VMs are collected into test_logs of the prefix.',
    '"start" starts the VMs of the environment, waits for engine and hosts, gives the clusters the CPU type of the hosts, and activates these; "stop" stops the engine\'s VMs, puts the hosts into maintenance, and shuts the VMs down. "start-hosts", "stop-hosts", "start-vms" and "stop-vms" do one of these; "status" prints what the engine says of itself. "engine-setup" and "add-iso PATH" run their programs in the engine\'s VM. "cpu-family [VM]" prints the CPU type that the cluster of a host needs. An engine inside hosts of type ovirt-he-host is started, looked at and stopped through their program hosted-engine. "deploy" and "collect" are those of lago.',
  ].join('\n'),
  positionals: [
    { name: 'action', metavar: 'ACTION', arity: 'one', choices: ACTIONS, help: 'What to do.' },
    { name: 'args', metavar: 'ARG', arity: 'many', help: 'What the action needs: FILE, PATH, VM.', completes: 'file' },
  ],
  options: [
    { flags: ['--rpm-repo'], name: 'rpm_repo', kind: 'value', metavar: 'DIR', help: 'reposetup: the store (default: reposync_dir).' },
    {
      flags: ['--reposync-yum-config'],
      name: 'reposync_yum_config',
      kind: 'value',
      metavar: 'FILE',
      help: 'reposetup: the .repo file (default: reposync_config).',
    },
    { flags: ['--skip-sync'], name: 'skip_sync', kind: 'flag', help: 'reposetup: take what is in the store already.' },
    {
      flags: ['--custom-source'],
      name: 'custom_source',
      kind: 'repeated',
      metavar: 'SOURCE',
      help: 'reposetup: packages of your own, as in "lago repo merge". Can be given several times.',
    },
    { flags: ['--repo-name'], name: 'repo_name', kind: 'value', metavar: 'NAME', help: 'reposetup: merge into internal_repo/NAME.' },
    {
      flags: ['--repoman-config'],
      name: 'repoman_config',
      kind: 'value',
      metavar: 'FILE',
      help: 'reposetup: options of repoman, as in "lago repo merge".',
    },
    ...['--engine-dir', '--vdsm-dir', '--ioprocess-dir'].map((flag) => ({
      flags: [flag],
      name: flag.slice(2).replaceAll('-', '_'),
      kind: 'value' as const,
      metavar: 'PATH',
      help: 'reposetup: ignored.',
      hidden: true,
    })),
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
    {
      flags: ['--engine-version'],
      name: 'engine_version',
      kind: 'value',
      metavar: 'VERSION',
      help: 'cpu-family: in the words of which engine or cluster (3.6, 4.2, 4.4; default: those of Lago, for 4.0 to 4.3).',
    },
    { flags: ['--output'], name: 'output', kind: 'value', metavar: 'DIR', help: 'collect: where to.' },
    { flags: ['--no-skip'], name: 'no_skip', kind: 'flag', help: 'collect: missing paths are an error.' },
  ],
  examples: [
    {
      line: 'ovirt reposetup --reposync-yum-config reposync.repo --custom-source exported-artifacts',
      does: 'Makes the repository of the environment.',
    },
    { line: 'ovirt runtest tests/001_basic.py', does: 'Runs the tests of a file on the current environment.' },
    { line: 'ovirt engine-setup --config answers.conf', does: 'Sets up the engine.' },
    { line: 'ovirt start --with-vms', does: "Starts everything, the engine's VMs too." },
  ],
  async run(call) {
    return await (await import('./actions.ts')).runAction(call);
  },
};
