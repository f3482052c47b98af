import { describe, expect, it } from 'vitest';
import { environmentName, SETTINGS } from '../../../src-shared/settings.ts';
import { createRegistry } from '../../engine/index.ts';
import { FORMATS } from '../output/formats.ts';
import { program } from '../program.ts';
import { parseArguments } from './arguments.ts';
import { helpText, usageText } from './help.ts';

const spec = program('1.2.3', createRegistry([], { builtIn: FORMATS }));

function parse(line: string | readonly string[]): Record<string, unknown> {
  const parsed = parseArguments(spec, typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line);
  switch (parsed.action) {
    case 'run':
      return { verb: parsed.verb.name, global: parsed.global, values: parsed.values };
    case 'help':
      return { help: parsed.verb?.name ?? 'lago' };
    case 'error':
      return { error: parsed.message, verb: parsed.verb?.name };
    case 'version':
    case 'no-verb':
      return { [parsed.action]: true };
  }
}

const run = (verb: string, values: object = {}, global: object = {}): object => ({ verb, values, global });

describe('parseArguments', () => {
  it.each<[string, object]>([
    ['', { 'no-verb': true }],
    ['-l debug', { 'no-verb': true }],
    ['--version', { version: true }],
    ['--help', { help: 'lago' }],
    ['-h status', { help: 'lago' }],
    ['status --help', { help: 'status' }],
    ['help', { help: 'lago' }],
    ['help status', { help: 'status' }],
    ['help stauts', { error: 'unknown verb "stauts". Did you mean "status"?', verb: undefined }],
    ['init -h --nonsense', { help: 'init' }],
    ['status', run('status')],
    ['-l debug status', run('status', {}, { loglevel: 'debug' })],
    ['-ldebug status', run('status', {}, { loglevel: 'debug' })],
    ['--loglevel=debug status', run('status', {}, { loglevel: 'debug' })],
    ['--loglev debug status', run('status', {}, { loglevel: 'debug' })],
    ['--workdir /w --prefix-n p status', run('status', {}, { workdir_path: '/w', prefix_name: 'p' })],
    ['-w/w -Pp status', run('status', {}, { workdir_path: '/w', prefix_name: 'p' })],
    ['--logdepth -1 status', run('status', {}, { logdepth: '-1' })],
    ['-f json -f yaml status', run('status', {}, { out_format: 'yaml' })],
    ['--libvirt_url qemu:///system status', run('status', {}, { libvirt_url: 'qemu:///system' })],
    ['--libvirt-url=qemu:///system status', run('status', {}, { libvirt_url: 'qemu:///system' })],
    ['--ignore-warnings status', run('status', {}, { ignore_warnings: true })],
    ['-w - list', run('list', {}, { workdir_path: '-' })],
    ['init', run('init')],
    ['init file', run('init', { workdir: 'file' })],
    ['init dir --set-current file --skip-build', run('init', { workdir: 'dir', virt_config: 'file', set_current: true, skip_build: true })],
    ['init --template-repo-p /r --template-store=/s x', run('init', { template_repo_path: '/r', template_store: '/s', workdir: 'x' })],
    ['init --allow-path /a file --allow-path=b', run('init', { workdir: 'file', allow_path: ['/a', 'b'] })],
    ['start', run('start', { vms: [] })],
    ['start a b', run('start', { vms: ['a', 'b'] })],
    ['status --why', run('status', { why: [] })],
    ['status --why a b -f json', { ...run('status', { why: ['a', 'b'] }), global: { out_format: 'json' } }],
    ['deploy', run('deploy', { vms: [] })],
    ['deploy --from', run('deploy', { vms: [], from: true })],
    ['deploy --from setup.sh web', run('deploy', { vms: ['web'], from: 'setup.sh' })],
    ['deploy web --from --timeout 3', run('deploy', { vms: ['web'], from: true, timeout: '3' })],
    ['deploy --from=-x --from -- web', run('deploy', { vms: ['web'], from: true })],
    ['deploy --timeout soon', { error: "argument --timeout: invalid number: 'soon'", verb: 'deploy' }],
    ['stop -- -odd', run('stop', { vms: ['-odd'] })],
    ['shutdown -r a b', run('shutdown', { reboot: true, vms: ['a', 'b'] })],
    ['shutdown --force', run('shutdown', { force: true, vms: [] })],
    ['shutdown --force 60 a', run('shutdown', { force: '60', vms: ['a'] })],
    ['shutdown --force a', run('shutdown', { force: true, vms: ['a'] })],
    ['shutdown --force=60 -r', run('shutdown', { force: '60', reboot: true, vms: [] })],
    ['shutdown --force=soon', { error: "argument --force: invalid whole number: 'soon'", verb: 'shutdown' }],
    ['destroy -y --all', run('destroy', { yes: true, all_prefixes: true })],
    ['snapshot -l', run('snapshot', { list: true })],
    ['snapshot --list=x', { error: 'argument -l/--list: takes no value, but got "x"', verb: 'snapshot' }],
    ['snapshot name', run('snapshot', { snapshot_name: 'name' })],
    ['ansible_hosts -k a b -k c', run('ansible_hosts', { keys: ['a', 'b', 'c'] })],
    ['ansible_hosts -k', { error: 'argument -k/--keys: expected at least one value', verb: 'ansible_hosts' }],
    ['shell vm0', run('shell', { host: 'vm0', args: [] })],
    ['shell vm0 -c ls -la', run('shell', { host: 'vm0', args: ['-c', 'ls', '-la'] })],
    ['shell vm0 --help', run('shell', { host: 'vm0', args: ['--help'] })],
    ['shell vm0 -- ls', run('shell', { host: 'vm0', args: ['--', 'ls'] })],
    ['shell --help', { help: 'shell' }],
    ['shell', { error: 'the following arguments are required: HOST', verb: 'shell' }],
    ['revert', { error: 'the following arguments are required: SNAPSHOT_NAME', verb: 'revert' }],
    ['status extra', { error: 'unrecognized arguments: extra', verb: 'status' }],
    ['init a b c', { error: 'unrecognized arguments: c', verb: 'init' }],
    ['ovirt runtest x.py', run('ovirt', { action: 'runtest', args: ['x.py'] })],
    ['leases free', run('leases', { action: 'free' })],
    [
      '--ssh x status',
      { error: 'ambiguous option: --ssh could match --ssh-user, --ssh-password, --ssh-tries, --ssh-timeout', verb: undefined },
    ],
    ['--loglevel', { error: 'argument --loglevel: expected one value', verb: undefined }],
    ['--loglevel --version', { error: 'argument --loglevel: expected one value', verb: undefined }],
    ['--ssh-tries many status', { error: "argument --ssh-tries: invalid whole number: 'many'", verb: undefined }],
    ['sttaus', { error: 'unknown verb "sttaus". Did you mean "status"?', verb: undefined }],
    ['xyzzy', { error: 'unknown verb "xyzzy". See "lago --help" for the verbs.', verb: undefined }],
    ['--loglvel x', { error: 'unrecognized option --loglvel. Did you mean --loglevel?', verb: undefined }],
    ['destroy --yse', { error: 'unrecognized option --yse. Did you mean --yes?', verb: 'destroy' }],
    [
      'start --ignore-warn',
      {
        error: 'unrecognized option --ignore-warn. It is a global option: write it out in full after the verb, or put it before.',
        verb: 'start',
      },
    ],
    [
      'status -f jsno',
      {
        error: 'argument -f/--out-format: invalid choice: \'jsno\' (choose from default, flat, json, yaml). Did you mean "json"?',
        verb: 'status',
      },
    ],
  ])('%s', (line, expected) => expect(parse(line)).toEqual(expected));

  it.each([
    ['status -f json', { verb: 'status', global: { out_format: 'json' }, values: {} }],
    ['-f flat status --out-format=json', { verb: 'status', global: { out_format: 'json' }, values: {} }],
    ['start --ignore-warnings a', { verb: 'start', global: { ignore_warnings: true }, values: { vms: ['a'] } }],
    ['snapshot -l', { verb: 'snapshot', global: {}, values: { list: true } }],
    ['shell web --out-format json', { verb: 'shell', global: {}, values: { host: 'web', args: ['--out-format', 'json'] } }],
  ])('takes global options after the verb too: %s', (line, expected) => expect(parse(line)).toEqual(expected));

  it('names the choices and the nearest one', () => {
    expect(parse('-l debgu status')).toEqual({
      error: 'argument -l/--loglevel: invalid choice: \'debgu\' (choose from info, debug, error, warning). Did you mean "debug"?',
      verb: undefined,
    });
    expect(parse('leases drop')).toMatchObject({
      error: expect.stringContaining("argument ACTION: invalid choice: 'drop' (choose from list, free)") as string,
    });
  });
  it('takes a word with a space for a value', () => {
    expect(parse(['shell', 'vm0', '-c', 'echo a b'])).toEqual(run('shell', { host: 'vm0', args: ['-c', 'echo a b'] }));
    expect(parse(['snapshot', '-my snapshot'])).toEqual(run('snapshot', { snapshot_name: '-my snapshot' }));
  });
  it('takes an empty word', () => expect(parse(['-P', '', 'status'])).toEqual(run('status', {}, { prefix_name: '' })));
});

describe('the table', () => {
  it('has an option for every key of lago.conf', () => {
    const options = [...spec.options, ...spec.verbs.flatMap((verb) => verb.options)];
    const missing = SETTINGS.filter(
      // Plugins define options, so the set of plugins must be known before options are read.
      (setting) => setting.key !== 'plugins' && !options.some((option) => option.name === setting.key && option.config === setting.section),
    );
    expect(missing.map(environmentName)).toEqual([]);
  });
  it('has no flag twice in one parser', () => {
    for (const options of [spec.options, ...spec.verbs.map((verb) => verb.options)]) {
      const flags = options.flatMap((option) => option.flags);
      expect(new Set(flags).size).toBe(flags.length);
    }
  });
  it('has a description and examples that can be parsed for every verb', () => {
    const bare = spec.verbs.filter((verb) => verb.examples.length === 0 || verb.description === undefined);
    expect(bare.map((verb) => verb.name)).toEqual([]);
    for (const verb of spec.verbs)
      for (const { line } of verb.examples) expect(parse(line.replace(/ >.*$/, ''))).toMatchObject({ verb: verb.name });
  });
});

describe('help', () => {
  it('lists every verb with its summary', () => {
    const text = helpText(spec, undefined, () => undefined);
    for (const verb of spec.verbs) expect(text).toContain(verb.name);
    expect(text.split('\n').every((line) => line.length <= 80)).toBe(true);
  });
  it('shows arguments, options with their current values, and examples', () => {
    const init = spec.verbs.find((verb) => verb.name === 'init');
    const text = helpText(spec, init, (option) => (option.name === 'template_store' ? '/store' : undefined));
    expect(text).toMatch(/^usage: lago init \[-h\] \[--template-repo-path PATH_OR_URL\]/);
    expect(text).toContain('(default: /store)');
    expect(text).toContain('  lago init\n      Creates ./.lago/default from ./LagoInitFile.');
  });
  it('shows that a value can be left out', () => {
    const text = helpText(
      spec,
      spec.verbs.find((verb) => verb.name === 'shutdown'),
      () => undefined,
    );
    expect(text).toContain('usage: lago shutdown [-h] [-r] [--force [SECONDS]] [VM_NAME ...]');
    expect(text).toContain('  --force [SECONDS]');
  });
  it('prints short usage', () => {
    expect(usageText(spec)).toBe('usage: lago [global options] VERB [options] [arguments]');
    expect(
      usageText(
        spec,
        spec.verbs.find((verb) => verb.name === 'shell'),
      ),
    ).toBe('usage: lago shell [-h] HOST [ARG ...]');
  });
});
