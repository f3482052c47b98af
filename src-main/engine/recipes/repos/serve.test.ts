import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HostChoice } from '../../../../src-shared/host/host-choice.ts';
import { silentLog } from '../../core/log.ts';
import { type PrefixPaths, prefixPaths } from '../../prefix/layout.ts';
import { writeRecord } from '../../prefix/record.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { servePackages } from './serve.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lago-serve-'));
});
afterEach(() => rmSync(root, { recursive: true }));

async function makePrefix(host: HostChoice): Promise<PrefixPaths> {
  const paths = prefixPaths(root);
  writeFileSync(paths.uuid, '0'.repeat(32));
  writeFileSync(paths.initialized, '');
  const times = { createdAt: 0, snapshots: [], current: null, pending: null };
  await writeRecord(paths.record, { version: 3, phase: 'ready', host, initFile: '/init.yaml', ...times });
  mkdirSync(paths.virt);
  writeFileSync(paths.env, JSON.stringify({ vms: [], nets: ['lan'] }));
  writeFileSync(paths.net('lan'), JSON.stringify({ name: 'lan', type: 'nat', gw: '192.168.200.1', management: true }));
  return paths;
}

test('packages of an environment on another machine are not served, and the sentence says what can be done', async () => {
  const paths = await makePrefix({ kind: 'remote', uri: 'ssh://me@far', uplink: 'none' });
  // Nothing of the context is asked for before the environment is found to be unfit.
  const serving = servePackages({} as RecipeContext, root, {}, { log: silentLog });
  await expect(serving).rejects.toMatchObject({
    code: 'not-available',
    message: expect.stringContaining('are on another machine (ssh://me@far)') as string,
    hint: `Copy ${paths.internalRepo} to a web server that the VMs can reach.`,
  });
});

test('an environment whose only merge failed has no packages yet', async () => {
  const paths = await makePrefix({ kind: 'embedded', uplink: 'none' });
  mkdirSync(join(paths.internalRepo, '.merged'), { recursive: true });
  const serving = servePackages({} as RecipeContext, root, {}, { log: silentLog });
  await expect(serving).rejects.toMatchObject({
    code: 'input.missing-file',
    message: expect.stringContaining('no merged packages yet') as string,
  });
});
