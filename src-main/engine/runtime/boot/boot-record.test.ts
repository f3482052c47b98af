import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLog, silentLog } from '../../core/log.ts';
import { type PrefixPaths, prefixPaths } from '../../prefix/layout.ts';
import { serialLogPath } from '../console/serial-log.ts';
import { noteStart, readBootRecord } from './boot-record.ts';

let paths: PrefixPaths;
beforeEach(async () => {
  paths = prefixPaths(await mkdtemp(join(tmpdir(), 'lago-record-')));
  await mkdir(paths.logs);
});
afterEach(async () => await rm(paths.root, { recursive: true, force: true }));

it('knows where the output of the last start begins', async () => {
  expect(await readBootRecord(paths, 'web')).toBeUndefined();
  await writeFile(serialLogPath(paths, 'web'), 'an earlier boot');
  await noteStart(paths, 'web', { continued: true }, silentLog);
  expect(await readBootRecord(paths, 'web')).toMatchObject({ continued: true, console: { offset: 15 } });
});

it('a damaged record counts as none', async () => {
  await noteStart(paths, 'web', { continued: false }, silentLog);
  await writeFile(paths.boot('web'), '{"version": 1, "startedAt":');
  expect(await readBootRecord(paths, 'web')).toBeUndefined();
});

it('a record that cannot be written keeps nothing from starting', async () => {
  const told: string[] = [];
  await writeFile(dirname(paths.boot('web')), 'not a folder');
  const log = createLog((level, message) => told.push(`${level}: ${message}`));
  await noteStart(paths, 'web', { continued: false }, log);
  expect(told).toEqual([expect.stringContaining('warn: How far VM web has booted will not be known')]);
});
