import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { takeLock } from '../core/lock.ts';
import { followOutput } from './deploy-output.ts';
import { DeployRecorder, neverRun } from './deploy-record.ts';
import { prefixPaths } from './layout.ts';

let folder: string;
let log: string;
let recorder: DeployRecorder;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-output-'));
  log = join(folder, 'logs/deploy/web/01-a.log');
  await mkdir(dirname(log), { recursive: true });
  recorder = new DeployRecorder(prefixPaths(folder), { version: 1, vms: {} });
  recorder.setAll('web', [{ ...neverRun('a.sh'), state: 'running', run: 'r1', log: 'logs/deploy/web/01-a.log' }]);
  await recorder.save();
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const follow = (script = 0, signal = new AbortController().signal) => followOutput(prefixPaths(folder), 'web', script, signal);
const lock = async () => await takeLock(prefixPaths(folder).deployLock, { purpose: 'deploy' });

it('yields what there is, then what is added, and ends with the script', async () => {
  await using _deploying = await lock();
  await writeFile(log, 'one\n');
  const output = follow();
  expect((await output.next()).value).toEqual({ text: 'one\n', skipped: 0 });
  const next = output.next();
  await appendFile(log, Buffer.from('zwö').subarray(0, 3));
  expect((await next).value).toEqual({ text: 'zw', skipped: 0 });
  const rest = output.next();
  await appendFile(log, Buffer.from('zwö').subarray(3));
  expect((await rest).value).toEqual({ text: 'ö', skipped: 0 });
  const last = output.next();
  await appendFile(log, 'end');
  await recorder.set('web', 0, { state: 'failed', code: 1 });
  expect((await last).value).toEqual({ text: 'end', skipped: 0 });
  expect((await output.next()).done).toBe(true);
});

it('of a long output it sends the end, and says how much it left out', async () => {
  await writeFile(log, `${'x'.repeat(1_000_000)}THE END`);
  const pieces = [];
  for await (const piece of follow()) pieces.push(piece);
  expect(pieces.map(({ skipped }) => skipped).filter((count) => count > 0)).toEqual([1_000_007 - 256 * 1024]);
  expect(pieces.map(({ text }) => text).join('')).toMatch(/^x+THE END$/);
});

it('ends when the process that ran the script is gone, when nobody listens, and when it never ran', async () => {
  await writeFile(log, 'half');
  const pieces = [];
  for await (const { text } of follow()) pieces.push(text);
  expect(pieces).toEqual(['half']);
  expect((await follow(1).next()).done).toBe(true);

  await using _deploying = await lock();
  const page = new AbortController();
  const output = follow(0, page.signal);
  await output.next();
  const next = output.next();
  page.abort();
  expect((await next).done).toBe(true);
});
