import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { splitTail } from './logs.ts';
import { remoteMachine, requireMachine, sshOptions } from './machine.ts';
import { readCheck } from './remote.ts';

let folder: string;
const confined = process.env['LAGO_CONFINED'];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-far-'));
  process.env['LAGO_CONFINED'] = '1';
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  if (confined === undefined) delete process.env['LAGO_CONFINED'];
  else process.env['LAGO_CONFINED'] = confined;
});

test('everything that a machine lacks is named at once, with what to do', () => {
  expect(readCheck('missing\nuplink pasta\ndata /home/me/x y\n', 'big')).toEqual({ uplink: 'pasta', data: '/home/me/x y' });
  expect(() => readCheck('missing node dnsmasq /dev/net/tun\nuplink none\ndata /x\n', 'me@big')).toThrow(
    expect.objectContaining({
      code: 'host.missing-tool',
      message: 'The machine me@big lacks what environments need: node, dnsmasq, /dev/net/tun.',
      hint: 'Install it there, on Debian: sudo apt install nodejs dnsmasq-base. Your user there must be able to use: /dev/net/tun.',
    }) as Error,
  );
});

test('ssh gets the address as it is given, and never asks', () => {
  const options = sshOptions(requireMachine('ssh://me@big:2222?config=/etc/far'), '/run/x/ssh');
  expect(options.slice(0, 2)).toEqual(['-F', '/etc/far']);
  expect(options.slice(-4)).toEqual(['-p', '2222', '-l', 'me']);
  expect(options).toContain('BatchMode=yes');
  expect(sshOptions(requireMachine('ssh://big'), '/run/x/ssh')).not.toContain('-F');
  expect(() => requireMachine('ssh://-oProxyCommand=x')).toThrow('is not the address of a machine');
});

test.each([
  ['no configuration of its own', undefined],
  ['a configuration without a program', 'Host far\n  HostName 192.0.2.1\n'],
  ['a jump host', 'Host far\n  ProxyJump 192.0.2.1\n'],
  ['the program none', 'Host far\n  ProxyCommand none\n'],
])('a confined run is kept from a machine with %s', async (_, config) => {
  const file = join(folder, 'config');
  if (config !== undefined) writeFileSync(file, config);
  const uri = config === undefined ? 'ssh://192.0.2.1' : `ssh://far?config=${file}`;
  const machine = remoteMachine(uri, { folder: join(folder, 'sockets'), scripts: folder });
  await expect(machine.run(['true'])).rejects.toMatchObject({ code: 'host.denied' });
  await expect(machine.farPipe(['check'])).rejects.toMatchObject({ code: 'host.denied' });
});

test('a program of the configuration is what leads to the machine', async () => {
  const file = join(folder, 'config');
  writeFileSync(file, 'Host far\n  ProxyCommand sh -c "echo the way there is closed >&2"\n');
  const machine = remoteMachine(`ssh://far?config=${file}`, { folder: join(folder, 'sockets'), scripts: folder });
  await expect(machine.run(['true'])).rejects.toMatchObject({
    code: 'host.unavailable',
    message: expect.stringContaining('No connection to far by ssh') as string,
  });
});

test('the end of a log comes after a line that says where it is', () => {
  expect(splitTail(Buffer.from('12 345\nlog in: \n'))).toEqual({ bytes: Buffer.from('log in: \n'), end: { inode: 12, offset: 345 } });
  expect(splitTail(Buffer.from('12 0\n'))).toEqual({ bytes: Buffer.alloc(0), end: { inode: 12, offset: 0 } });
  expect(splitTail(Buffer.from('something else'))).toBeUndefined();
});
