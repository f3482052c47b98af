import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bootId, startTimeOf } from '../../core/process-identity.ts';
import { unexpectedEnd } from './unexpected-end.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lago-end-'));
});
afterEach(async () => await rm(dir, { recursive: true }));

it.each([
  ['that runs', `${process.pid} ${startTimeOf(process.pid)} ${bootId()} /run/lago/x\n`, undefined],
  [
    'whose process is gone',
    `${process.pid} 1 ${bootId()} /run/lago/x\n`,
    /^The environment's host \(pid \d+\) ended unexpectedly.*“lago start”/,
  ],
  [
    'from before a restart of the machine',
    `${process.pid} ${startTimeOf(process.pid)} 00000000-0000-4000-8000-000000000000 /run/lago/x\n`,
    /^The machine was restarted.*“lago start”/,
  ],
  ['with a damaged record', 'nonsense', undefined],
])('a host %s', async (_, record, said) => {
  await writeFile(join(dir, 'cell'), record);
  if (said === undefined) expect(unexpectedEnd(dir)).toBeUndefined();
  else expect(unexpectedEnd(dir)).toMatch(said);
});

it('a host that was never started, or was stopped', () => {
  expect(unexpectedEnd(dir)).toBeUndefined();
});
