import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { writeRecord } from '../../prefix/record.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { servePackages } from './serve.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lago-serve-'));
});
afterEach(() => rmSync(root, { recursive: true }));

test('packages of an environment on another machine are not served, and the sentence says what can be done', async () => {
  const paths = prefixPaths(root);
  writeFileSync(paths.uuid, '0'.repeat(32));
  writeFileSync(paths.initialized, '');
  const host = { kind: 'remote', uri: 'ssh://me@far', uplink: 'none' } as const;
  const times = { createdAt: 0, snapshots: [], current: null, pending: null };
  await writeRecord(paths.record, { version: 3, phase: 'ready', host, initFile: '/init.yaml', ...times });
  // Nothing of the context is asked for before the environment is found to be unfit.
  const serving = servePackages({} as RecipeContext, root, {}, { log: silentLog });
  await expect(serving).rejects.toMatchObject({
    code: 'not-available',
    message: expect.stringContaining('are on another machine (ssh://me@far)') as string,
    hint: `Copy ${paths.internalRepo} to a web server that the VMs can reach.`,
  });
});
