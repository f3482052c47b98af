import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Inspection } from '../../../src-shared/contract.ts';
import { settingsIn } from '../configuration/settings.test-support.ts';
import { createRegistry } from '../plugins/registry.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { inspectInitFile } from './inspect.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-inspect-'));
  await writeFile(join(folder, 'repo.json'), JSON.stringify({ name: 'none', sources: {}, templates: {} }));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function inspect(file: string, text?: string): Promise<Inspection> {
  const settings = settingsIn(folder, { templateRepoPath: join(folder, 'repo.json'), templateRepos: folder });
  const context = { settings, resourcesDir: folder, plugins: createRegistry() } as unknown as RecipeContext;
  return await inspectInitFile(context, join(folder, file), { workdir: join(folder, 'work'), text });
}

const vm = (name: string, disk = ''): string => `domains: {${name}: {memory: 256, nics: [{net: n}]${disk}}}\nnets: {n: {}}\n`;

test('unsaved text is inspected instead of the file', async () => {
  await writeFile(join(folder, 'init.yaml'), vm('saved'));
  expect(Object.keys((await inspect('init.yaml')).plan?.vms ?? {})).toEqual(['saved']);
  const edited = await inspect('init.yaml', vm('edited'));
  expect([edited.file, Object.keys(edited.plan?.vms ?? {})]).toEqual([join(folder, 'init.yaml'), ['edited']]);
  expect((await inspect('init.yaml', 'domains: [')).issues).toMatchObject([
    { file: join(folder, 'init.yaml'), severity: 'error', line: 1 },
  ]);
});

test('the text of a never saved file finds files beside its future path', async () => {
  await writeFile(join(folder, 'seed.img'), 'x');
  const disk = ', disks: [{type: file, dev: vda, name: seed, format: raw, path: seed.img}]';
  expect((await inspect('new.yaml', vm('one', disk))).issues).toEqual([]);
  expect((await inspect('new.yaml', vm('one', disk.replace('seed.img', 'none.img')))).issues).toMatchObject([{ severity: 'error' }]);
});
