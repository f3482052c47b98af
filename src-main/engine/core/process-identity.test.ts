import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { bootId, isRunning, kill, parentOf, parseIdentity, readOptional, startTimeOf } from './process-identity.ts';

const BOOT = '01234567-89ab-cdef-0123-456789abcdef';

test('reads what cell.sh writes', () => {
  expect(parseIdentity(`12 3456 ${BOOT}\n`)).toEqual({ pid: 12, startTime: '3456', boot: BOOT, rest: '' });
  expect(parseIdentity(`12 3456 ${BOOT} /run/user/1000/lago/a b\n`)?.rest).toBe('/run/user/1000/lago/a b');
});

test.each(['', '12', '12 34', `x 1 ${BOOT}`, `12 34 ${BOOT}x`, `-1 34 ${BOOT}`, `12345678901 1 ${BOOT}`])(
  'takes nothing else: %j',
  (text) => {
    expect(parseIdentity(text)).toBeUndefined();
  },
);

test('a process is identified by its boot and start time', () => {
  const startTime = startTimeOf(process.pid) ?? '';
  expect(startTime).toMatch(/^\d+$/);
  expect(isRunning({ pid: process.pid, startTime, boot: bootId() })).toBe(true);
  expect(isRunning({ pid: process.pid, startTime: `${startTime}1`, boot: bootId() })).toBe(false);
  expect(isRunning({ pid: process.pid, startTime, boot: BOOT })).toBe(false);
  expect(parentOf(process.pid)).toBe(process.ppid);
});

test('kills exactly the given process', async () => {
  // A program name that contains the field separator of /proc/PID/stat.
  const child = spawn('sleep', ['60'], { argv0: 'a) Z 1' });
  const pid = child.pid ?? 0;
  const identity = { pid, startTime: startTimeOf(pid) ?? '', boot: bootId() };
  kill({ ...identity, startTime: '1' });
  expect(isRunning(identity)).toBe(true);
  const ended = once(child, 'exit');
  kill(identity);
  expect((await ended)[1]).toBe('SIGKILL');
  expect(isRunning(identity)).toBe(false);
  expect(startTimeOf(pid)).toBeUndefined();
  kill(identity);
});

test('a missing file gives nothing, any other failure throws', () => {
  expect(readOptional('/proc/self/no-such-file')).toBeUndefined();
  expect(() => readOptional('/proc/self')).toThrow('EISDIR');
});
