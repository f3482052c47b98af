import { expect, test } from 'vitest';
import { machineName, parseMachineAddress } from './machine-address.ts';

test.each([
  ['ssh://big', { host: 'big', user: undefined, port: undefined, config: undefined }],
  ['ssh://me@big.example:2222/', { host: 'big.example', user: 'me', port: 2222, config: undefined }],
  ['ssh://me@[fd00::1]:22', { host: 'fd00::1', user: 'me', port: 22, config: undefined }],
  ['ssh://big?config=/home/me/ssh.conf', { host: 'big', user: undefined, port: undefined, config: '/home/me/ssh.conf' }],
])('reads %s', (uri, address) => {
  expect(parseMachineAddress(uri)).toEqual(address);
});

test.each([
  'ssh://',
  'ssh://-oProxyCommand=x',
  'ssh://-l@big',
  'ssh://big:0',
  'ssh://big:70000',
  'ssh://big/path',
  'ssh://big?config=relative',
  'ssh://big?other=/x',
  'ssh://a b',
  'qemu+ssh://big/system',
])('refuses %s', (uri) => {
  expect(parseMachineAddress(uri)).toBeUndefined();
});

test('a machine is called by its user and name', () => {
  expect(machineName({ host: 'big', user: 'me', port: 22, config: undefined })).toBe('me@big');
  expect(machineName({ host: 'big', user: undefined, port: 22, config: undefined })).toBe('big');
});
