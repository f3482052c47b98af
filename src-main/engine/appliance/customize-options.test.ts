import { describe, expect, test } from 'vitest';
import { commandsFile } from './appliance.ts';
import { customizeCall, customizeProblems } from './customize-options.ts';

const key = 'ssh-ed25519 AAAAC3 lago: default';

describe('options of a builder', () => {
  test('commands are passed in a file in order, the rest as arguments', () => {
    const call = customizeCall(
      {
        m: 2048,
        install: 'vim,git',
        'no-network': '',
        'run-command': ['echo one', 'echo two'],
        update: '',
        verbose: null,
        smp: '2',
        quiet: false,
      },
      key,
    );
    expect(call.args).toEqual(['-m', '2048', '--no-network', '--verbose', '--smp', '2']);
    expect(call.commands).toEqual([['install', 'vim,git'], ['run-command', 'echo one'], ['run-command', 'echo two'], ['update']]);
  });

  test('an empty ssh-inject gives root the key of the environment', () => {
    expect(customizeCall({ 'ssh-inject': '' }, key).commands).toEqual([['ssh-inject', 'root:string:ssh-ed25519 AAAAC3']]);
    expect(customizeCall({ 'ssh-inject': ['', 'bob:file:/k'] }, key).commands).toEqual([
      ['ssh-inject', 'root:string:ssh-ed25519 AAAAC3'],
      ['ssh-inject', 'bob:file:/k'],
    ]);
  });

  test.each([
    [{ 'root-password': 'password:se:cret' }, ['se:cret']],
    [{ password: ['a:password:one', 'b:locked:password:two'] }, ['one', 'two']],
    [{ 'root-password': 'file:/x' }, []],
    [{ 'root-password': 'random' }, []],
  ])('%j: its passwords are known', (options, secrets) => {
    const call = customizeCall(options, key);
    expect(call.secrets).toEqual(secrets);
    expect(call.args).toEqual([]);
  });

  test.each([
    [{ a: '/other.qcow2' }, 'The option a is not for an init file'],
    [{ add: '/other.qcow2' }, 'The option add is not'],
    [{ ad: '/other.qcow2' }, 'The option ad is not'],
    [{ d: 'vm' }, 'The option d is not'],
    [{ connect: 'qemu:///system' }, 'The option connect is not'],
    [{ 'commands-from-file': 'x' }, 'write the commands themselves'],
    [{ 'add=/dev/sda': '' }, 'is not an option'],
    [{ '-a': '' }, 'is not an option'],
    [{ '': 'x' }, 'is not an option'],
    [{ install: { vim: 1 } }, 'must be text'],
    [{ install: [['vim']] }, 'must be text'],
  ])('%j is refused', (options, message) => {
    expect(customizeProblems(options).join()).toContain(message);
    expect(() => customizeCall(options, key)).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  });

  test('common options are accepted', () => {
    expect(
      customizeProblems({ install: 'vim', 'ssh-inject': '', update: null, x: true, 'run-command': ['a', 'b'], memsize: 1024 }),
    ).toEqual([]);
  });
});

describe('a file of commands', () => {
  test('continues lines by backslashes', () => {
    expect(commandsFile([['write', '/a:one\ntwo\n'], ['update'], ['run-command', 'a \\\n b']])).toBe(
      'write /a:one\\\ntwo\\\n\nupdate\nrun-command a \\\\\n b\n',
    );
  });

  test('cannot end an argument with a backslash', () => {
    expect(() => commandsFile([['write', '/a:b\\']])).toThrow(expect.objectContaining({ code: 'input.invalid' }));
  });
});
