import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EngineError, type ErrorCode } from '../../../src-shared/errors.ts';
import type { OperationKind } from '../../../src-shared/operation.ts';
import { createLog } from '../core/log.ts';
import { readEvents } from '../prefix/events.ts';
import { type PrefixPaths, prefixPaths } from '../prefix/layout.ts';
import { noteEvent } from './note-event.ts';

let paths: PrefixPaths;
let said: string[];
beforeEach(() => {
  paths = prefixPaths(mkdtempSync(join(tmpdir(), 'lago-note-')));
  writeFileSync(paths.uuid, '0'.repeat(32));
  said = [];
});
afterEach(() => rmSync(paths.root, { recursive: true }));

const note = async (kind: OperationKind, label: string, failure?: unknown): Promise<void> =>
  await noteEvent(
    paths.root,
    { kind, label },
    failure,
    createLog((_, message) => said.push(message)),
  );
const told = async (): Promise<readonly (readonly [string, string])[]> =>
  (await readEvents(paths)).map(({ kind, label }) => [kind, label] as const);

test('what succeeded is an event of its kind, unless it is a point of the timeline', async () => {
  await note('start', 'Start shop');
  await note('shutdown', 'Shut down web');
  await note('vm', 'Change web');
  await note('snapshot', 'Snapshot shop as “a”');
  await note('export', 'Export shop');
  expect(await told()).toEqual([
    ['start', 'Start shop'],
    ['stop', 'Shut down web'],
    ['change', 'Change web'],
  ]);
});

test('what failed is an event with its reason', async () => {
  await note('snapshot', 'Snapshot shop as “a”', new EngineError('host.no-space', 'The disk is full.'));
  await note('deploy', 'Deploy web', new EngineError('guest.failed', 'setup.sh ended with 1.'));
  expect(await told()).toEqual([
    ['failure', 'Snapshot shop as “a” failed: The disk is full.'],
    ['failure', 'Deploy web failed: setup.sh ended with 1.'],
  ]);
});

test.each<ErrorCode>(['input.invalid', 'snapshot.missing', 'conflict.locked', 'cancelled'])('%s is no event', async (code) => {
  await note('revert', 'Revert shop', new EngineError(code, 'No.'));
  expect(await told()).toEqual([]);
});

test('nothing is written where there is no environment any more', async () => {
  rmSync(paths.uuid);
  await note('stop', 'Stop shop');
  expect([existsSync(paths.events), said]).toEqual([false, []]);
});

test('what cannot be written is a warning', async () => {
  mkdirSync(paths.events);
  await note('start', 'Start shop');
  expect(said).toEqual([expect.stringContaining('Not added to the timeline: “Start shop”.')]);
});
