import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Collection, MAX_DIFF_LINES, MAX_FILE_RANGE, type TextDiff } from '../../../../src-shared/collection.ts';
import { startOperation } from '../../core/operation.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { readPrefix, writeSpecs } from '../../prefix/prefix.ts';
import { createWorld, writePrefix } from '../world.test-support.ts';
import { collectArtifacts, namedArtifacts } from './collect.ts';
import type { CollectRequest } from './collect-request.ts';
import { listCollected, listCollections, readCollected, removeCollection, writeCollection } from './collections.ts';
import { compareCollections } from './compare-collections.ts';
import { diffCollected } from './diff-collected.ts';
import { saveCollected } from './save-collected.ts';

let root: string;
beforeEach(async () => {
  root = join(mkdtempSync(join(tmpdir(), 'lago-collect-')), 'env');
  mkdirSync(root);
  await writePrefix(root);
});
afterEach(() => rmSync(join(root, '..'), { recursive: true, force: true }));

async function makeCollection(id: string, at: number, files: Readonly<Record<string, string>>): Promise<Collection> {
  const folder = join(prefixPaths(root).collected, id);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  const collection: Collection = { version: 1, id, at, why: 'manual', folder, finished: true, vms: [] };
  await writeCollection(root, collection);
  return collection;
}

test.each([
  [
    ['/var/log', 'etc/x'],
    ['_var_log', 'etc_x'],
  ],
  [
    ['/a/b', '/a_b', '/a/b'],
    ['_a_b', '_a_b.2'],
  ],
  [
    ['..', '.', ''],
    ['_..', '_.', '_'],
  ],
])('%j get the names %j', (paths, names) => {
  expect(namedArtifacts(paths).map(({ name }) => name)).toEqual(names);
});

describe('collections', () => {
  test('are listed newest first, without damaged ones and those whose files are gone', async () => {
    await makeCollection('one', 1, { 'web/a': 'x' });
    await makeCollection('two', 2, { 'web/a': 'x' });
    const gone = await makeCollection('gone', 3, { a: 'x' });
    rmSync(gone.folder, { recursive: true });
    writeFileSync(join(prefixPaths(root).collected, 'bad.json'), '{');
    expect((await listCollections(root)).map(({ id }) => id)).toEqual(['two', 'one']);
    await removeCollection(root, 'two');
    expect(readdirSync(prefixPaths(root).collected).sort()).toEqual(['bad.json', 'gone.json', 'one', 'one.json']);
  });

  test('are read in ranges, and never through a link', async () => {
    const { folder } = await makeCollection('one', 1, { 'web/a': '0123456789' });
    symlinkSync('/etc', join(folder, 'web/out'));
    symlinkSync('a', join(folder, 'web/in'));
    const read = async (path: string, from = 0, length = 5): Promise<string> =>
      Buffer.from((await readCollected(root, 'one', path, from, length)).bytes, 'base64').toString();
    expect(await read('web/a', 3)).toBe('34567');
    expect(await read('web/a', 8, MAX_FILE_RANGE * 2)).toBe('89');
    expect(await read('web/a', 50)).toBe('');
    for (const path of ['web/out/passwd', 'web/in', '../one.json', 'web/none', '../../uuid']) {
      await expect(read(path)).rejects.toThrow(`There is no file ${path} in this collection.`);
    }
    expect((await listCollected(root, 'one', 'web')).map(({ name, type, target }) => [name, type, target])).toEqual([
      ['a', 'file', null],
      ['in', 'link', 'a'],
      ['out', 'link', '/etc'],
    ]);
    await expect(listCollected(root, 'none', '')).rejects.toThrow('This collection no longer exists.');
  });

  test('are compared by content', async () => {
    const one = await makeCollection('one', 1, { 'web/same': 'x', 'web/changed': 'aaa', 'web/removed': 'xx' });
    const two = await makeCollection('two', 2, { 'web/same': 'x', 'web/changed': 'bbb', 'db/added': '' });
    for (const [{ folder }, target] of [
      [one, 'a'],
      [two, 'b'],
    ] as const)
      symlinkSync(target, join(folder, 'web/link'));
    expect(await compareCollections(root, 'one', 'two')).toEqual([
      { path: 'db/added', change: 'added', before: null, after: 0 },
      { path: 'web/changed', change: 'changed', before: 3, after: 3 },
      { path: 'web/link', change: 'changed', before: 1, after: 1 },
      { path: 'web/removed', change: 'removed', before: 2, after: null },
    ]);
  });
});

describe('texts that differ', () => {
  const long = (changed: string): string => Array.from({ length: 40 }, (_, n) => (n === 20 ? changed : `line ${n + 1}`)).join('\n');
  const diff = async (before: string, after: string): Promise<TextDiff> => {
    await makeCollection('one', 1, { 'web/a': before });
    await makeCollection('two', 2, { 'web/a': after });
    return await diffCollected(root, 'one', 'two', 'web/a');
  };

  test('are compared by line, with their numbers and what is around them', async () => {
    const { lines, ...rest } = await diff(long('old'), `first\n${long('new')}\n`);
    expect(rest).toEqual({ problem: null, added: 3, removed: 2 });
    expect(lines.map(({ kind, before, after, text }) => [kind, before, after, text])).toEqual([
      ['added', null, 1, 'first'],
      ['same', 1, 2, 'line 1'],
      ['same', 2, 3, 'line 2'],
      ['same', 3, 4, 'line 3'],
      ['gap', null, null, ''],
      ['same', 18, 19, 'line 18'],
      ['same', 19, 20, 'line 19'],
      ['same', 20, 21, 'line 20'],
      ['removed', 21, null, 'old'],
      ['added', null, 22, 'new'],
      ['same', 22, 23, 'line 22'],
      ['same', 23, 24, 'line 23'],
      ['same', 24, 25, 'line 24'],
      ['gap', null, null, ''],
      ['same', 37, 38, 'line 37'],
      ['same', 38, 39, 'line 38'],
      ['same', 39, 40, 'line 39'],
      ['removed', 40, null, 'line 40'],
      ['note', null, null, 'No newline at end of file'],
      ['added', null, 41, 'line 40'],
    ]);
  });

  test.each([
    ['binary', 'a\0b', 'text'],
    ['large', 'text', 'x'.repeat(5_000_000)],
  ] as const)('that are %s are not', async (problem, before, after) => {
    expect(await diff(before, after)).toMatchObject({ problem, lines: [] });
  });

  test('that have little in common are compared from the first to the last change', async () => {
    const text = (word: string): string => `same\n${Array.from({ length: 6000 }, (_, n) => `${word} ${n}\n`).join('')}end\n`;
    const { lines, ...rest } = await diff(text('old'), text('new'));
    expect(rest).toEqual({ problem: null, added: 6000, removed: 6000 });
    expect(lines).toHaveLength(MAX_DIFF_LINES);
    expect(lines.slice(0, 2)).toMatchObject([
      { kind: 'same', before: 1, after: 1, text: 'same' },
      { kind: 'removed', before: 2, text: 'old 0' },
    ]);
  });

  test('are shown to a limit', async () => {
    const { lines, added } = await diff('', 'x\n'.repeat(MAX_DIFF_LINES + 10));
    expect([lines.length, added]).toEqual([MAX_DIFF_LINES, MAX_DIFF_LINES + 10]);
  });
});

describe('saving', () => {
  const save = async (path: string, destination: string): Promise<void> =>
    await startOperation({ kind: 'copy', label: 'Save' }, async (step) => await saveCollected(root, 'one', path, destination, step)).done;

  test('copies a file, a folder or all, replaces only a file, and leaves nothing incomplete', async () => {
    const { folder } = await makeCollection('one', 1, { 'web/a b': 'content', 'web/deep/x': 'x' });
    symlinkSync('/etc/passwd', join(folder, 'web/link'));
    const to = join(root, '../saved');
    mkdirSync(to);
    writeFileSync(join(to, 'file'), 'older');
    await save('web/a b', join(to, 'file'));
    expect(readFileSync(join(to, 'file'), 'utf8')).toBe('content');
    await save('web', join(to, 'web'));
    await save('', join(to, 'all'));
    expect(readFileSync(join(to, 'all/web/deep/x'), 'utf8')).toBe('x');
    expect(readlinkSync(join(to, 'web/link'))).toBe('/etc/passwd');
    for (const [path, destination, why] of [
      ['web', join(to, 'web'), 'exists already'],
      ['web/a b', join(to, 'web'), 'exists already'],
      ['web/link', join(to, 'link'), 'There is no file web/link'],
      ['../../uuid', join(to, 'uuid'), 'There is no file ../../uuid'],
      ['web/a b', join(to, 'none/file'), 'There is no directory'],
      ['', join(folder, 'web/again'), 'is in what is to be saved'],
    ] as const) {
      await expect(save(path, destination)).rejects.toThrow(why);
    }
    expect(readdirSync(to).sort()).toEqual(['all', 'file', 'web']);
  });
});

describe('collecting', () => {
  const collect = async (request: CollectRequest, signal?: AbortSignal): Promise<Collection> => {
    const world = createWorld();
    return await startOperation(
      { kind: 'collect', label: 'Collect', signal },
      async (step) => await collectArtifacts(world.context, root, request, step),
    ).done;
  };
  /** VMs without disks, whose artifacts cannot be read. */
  async function wantArtifacts(...names: string[]): Promise<void> {
    const { specs, paths } = await readPrefix(root);
    const vms = specs.vms.map((vm) => ({ ...vm, disks: [], ...(names.includes(vm.name) ? { artifacts: ['/var/log'] } : {}) }));
    await writeSpecs(paths, { ...specs, vms });
  }

  test('nothing is a collection too', async () => {
    const done = await collect({});
    expect(done).toMatchObject({ finished: true, vms: [], why: 'manual' });
    expect(await listCollections(root)).toEqual([done]);
  });

  test('a failure names every VM that failed, and stays in the record', async () => {
    await wantArtifacts('vm0', 'vm1');
    await expect(collect({ why: 'deploy failed' })).rejects.toMatchObject({
      code: 'guest.failed',
      message: expect.stringMatching(/^Failed to collect everything from vm0, vm1\. vm0: VM vm0 has no disk/) as string,
    });
    expect(await listCollections(root)).toMatchObject([
      { why: 'deploy failed', finished: true, vms: [{ name: 'vm0', by: null, problem: expect.stringContaining('no disk') as string }, {}] },
    ]);
    await expect(collect({ vms: ['vm1', 'none'] })).rejects.toMatchObject({ code: 'vm.missing' });
  });

  test('an output that exists is renamed, one elsewhere is listed, a cancelled one leaves nothing', async () => {
    const output = join(root, '../out/there');
    await collect({ output });
    writeFileSync(join(output, 'old'), '');
    const second = await collect({ output });
    expect(readdirSync(join(root, '../out'))).toHaveLength(2);
    expect(readdirSync(output)).toEqual([]);
    expect((await listCollections(root))[0]).toEqual(second);
    const before = readdirSync(prefixPaths(root).collected);
    await wantArtifacts('vm0');
    const abort = new AbortController();
    abort.abort();
    await expect(collect({}, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(prefixPaths(root).collected)).toEqual(before);
    expect(existsSync(output)).toBe(true);
  });
});
