import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isPrefix, newPrefixName, readMarker, resolvePrefix, resolveWorkdir, Workdir } from './workdir.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'lago-workdir-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function makePrefix(path: string, marker: 'ready' | 'cleaned' | 'foreign' = 'ready'): string {
  mkdirSync(join(path, 'virt'), { recursive: true });
  if (marker !== 'foreign') writeFileSync(join(path, 'uuid'), '0123456789abcdef0123456789abcdef');
  if (marker === 'ready') writeFileSync(join(path, 'initialized'), '');
  return path;
}

function makeWorkdir(path: string, names: readonly string[], current = names[0] ?? 'default'): string {
  mkdirSync(path, { recursive: true });
  for (const name of names) makePrefix(join(path, name));
  symlinkSync(current, join(path, 'current'));
  return path;
}

describe('Workdir', () => {
  it('is created in an empty or missing directory, and its first prefix becomes current', async () => {
    const workdir = await Workdir.loadOrCreate(join(root, 'a', '.lago'));
    makePrefix(workdir.prefixPath('one'));
    await workdir.added('one', false);
    makePrefix(workdir.prefixPath('two'));
    await workdir.added('two', false);
    expect(await workdir.list()).toEqual(['one', 'two']);
    expect(readlinkSync(join(workdir.path, 'current'))).toBe('one');
    await workdir.added('two', true);
    expect(readlinkSync(join(workdir.path, 'current'))).toBe('two');
  });
  it('is not created in a directory with other content', async () => {
    writeFileSync(join(root, 'notes.txt'), '');
    await expect(Workdir.loadOrCreate(root)).rejects.toMatchObject({
      code: 'workdir.malformed',
      message: `"${join(root, 'current')}" should exist and be a soft link`,
    });
  });
  it('reports what is wrong with a directory', async () => {
    await expect(Workdir.load(join(root, 'none'))).rejects.toMatchObject({ code: 'workdir.missing' });
    await expect(Workdir.load(root)).rejects.toMatchObject({ code: 'workdir.malformed', message: `Empty dir ${root}` });
    mkdirSync(join(root, 'current'));
    await expect(Workdir.load(root)).rejects.toMatchObject({ message: `"${join(root, 'current')}" should be a soft link` });
  });
  it('lists directories and links to directories, not files, hidden ones or current', async () => {
    makeWorkdir(root, ['b', 'a']);
    writeFileSync(join(root, 'file'), '');
    mkdirSync(join(root, '.tmp'));
    symlinkSync('a', join(root, 'linked'));
    symlinkSync('nowhere', join(root, 'dangling'));
    expect(await (await Workdir.load(root)).list()).toEqual(['a', 'b', 'linked']);
  });
  it.each<[readonly string[], string, string]>([
    [['a', 'default', 'z'], 'gone', 'default'],
    [['a', 'z'], 'gone', 'z'],
    [['a', 'z'], 'a', 'a'],
    [['a', 'z'], './a/', 'a'],
    [['a', 'z'], '/somewhere/else', 'z'],
  ])('of %j with current → %s uses %s', async (names, link, expected) => {
    makeWorkdir(root, names, link);
    const workdir = await Workdir.load(root);
    expect(await workdir.current()).toBe(expected);
    expect(await workdir.repair()).toBe(true);
    expect(readlinkSync(join(root, 'current'))).toMatch(expected);
    expect(readdirSync(root).sort()).toEqual([...names, 'current'].sort());
  });
  it('is removed when its last prefix is gone', async () => {
    const workdir = await Workdir.load(makeWorkdir(join(root, 'w'), ['only']));
    rmSync(workdir.prefixPath('only'), { recursive: true });
    expect(await workdir.repair()).toBe(false);
    expect(existsSync(workdir.path)).toBe(false);
    expect(await workdir.repair()).toBe(false);
  });
  it('is kept when it contains anything else', async () => {
    const workdir = await Workdir.load(makeWorkdir(join(root, 'w'), []));
    writeFileSync(join(workdir.path, 'notes.txt'), '');
    expect(await workdir.repair()).toBe(true);
    expect(readdirSync(workdir.path)).toEqual(['notes.txt']);
  });
  it('moves current', async () => {
    const workdir = await Workdir.load(makeWorkdir(root, ['a', 'b']));
    await workdir.setCurrent('b');
    expect(await workdir.current()).toBe('b');
    await expect(workdir.setCurrent('c')).rejects.toMatchObject({
      code: 'prefix.missing',
      message: `Prefix "c" does not exist in workdir ${root}`,
      hint: 'It has: a, b.',
    });
  });
  it('reports a name that is taken', async () => {
    const workdir = await Workdir.load(makeWorkdir(root, ['a']));
    await workdir.requireFree('b');
    await expect(workdir.requireFree('a')).rejects.toMatchObject({
      code: 'prefix.exists',
      message: `Prefix with name a already exists in workdir ${root}`,
    });
  });
});

describe('newPrefixName', () => {
  it.each([
    [undefined, 'default'],
    ['', 'default'],
    ['current', 'default'],
    ['mine', 'mine'],
  ])('%s → %s', (given, name) => expect(newPrefixName(given)).toBe(name));
  it.each(['..', '.hidden', 'a/b', '-x', 'a\0b'])('refuses %j', (name) =>
    expect(() => newPrefixName(name)).toThrow('cannot be the name of a prefix'),
  );
});

describe('markers', () => {
  it('recognise prefixes of every version, also after a cleanup', async () => {
    expect(await isPrefix(makePrefix(join(root, 'a')))).toBe(true);
    expect(await isPrefix(makePrefix(join(root, 'b'), 'cleaned'))).toBe(true);
    expect(await isPrefix(makePrefix(join(root, 'c'), 'foreign'))).toBe(false);
    expect(await isPrefix(join(root, 'none'))).toBe(false);
  });
  it('tell which version made it', async () => {
    const path = makePrefix(join(root, 'a'));
    expect(await readMarker(path)).toEqual({ uuid: '0123456789abcdef0123456789abcdef', initialized: true, lagoVersion: null });
    writeFileSync(join(path, 'metadata'), '{}');
    expect((await readMarker(path)).lagoVersion).toBeNull();
    writeFileSync(join(path, 'metadata'), '{"lago_version": "1.0.0"}');
    expect((await readMarker(path)).lagoVersion).toBe('1.0.0');
    expect(await readMarker(makePrefix(join(root, 'b'), 'cleaned'))).toMatchObject({ initialized: false });
  });
});

describe('resolvePrefix', () => {
  let project: string;
  let lago: string;
  beforeEach(() => {
    project = join(root, 'project');
    lago = makeWorkdir(join(project, '.lago'), ['default', 'other']);
    mkdirSync(join(project, 'src', 'deep'), { recursive: true });
  });
  const at = (name: string, workdir: string | null = lago, path = join(lago, name)): object => ({ name, path, workdir });

  it('finds the nearest workdir', async () => {
    for (const cwd of [project, join(project, 'src', 'deep'), lago]) expect(await resolvePrefix({ cwd })).toEqual(at('default'));
    expect(await resolvePrefix({ cwd: project, prefixName: 'other' })).toEqual(at('other'));
    expect(await resolvePrefix({ cwd: project, prefixName: 'current' })).toEqual(at('default'));
  });
  it('uses the prefix around the current directory, not the current one', async () => {
    mkdirSync(join(lago, 'other', 'images'));
    expect(await resolvePrefix({ cwd: join(lago, 'other') })).toEqual(at('other'));
    expect(await resolvePrefix({ cwd: join(lago, 'other', 'images') })).toEqual(at('other'));
    expect(await resolvePrefix({ cwd: join(lago, 'current') })).toEqual(at('default'));
  });
  it('prefers a name to the directory', async () => {
    expect(await resolvePrefix({ cwd: join(lago, 'other'), prefixName: 'default' })).toEqual(at('default'));
  });
  it('also uses a cleaned prefix around the current directory', async () => {
    rmSync(join(lago, 'other', 'initialized'));
    expect(await resolvePrefix({ cwd: join(lago, 'other') })).toEqual(at('other'));
  });
  it('prefers a prefix that is nearer than a workdir', async () => {
    const plain = makePrefix(join(project, 'src', '.lago'));
    expect(await resolvePrefix({ cwd: join(project, 'src', 'deep') })).toEqual({ path: plain, name: '.lago', workdir: null });
  });
  it('takes a named workdir exactly, and names those close by', async () => {
    expect(await resolvePrefix({ cwd: root, workdirPath: 'project/.lago' })).toEqual(at('default'));
    expect(await resolvePrefix({ cwd: root, workdirPath: lago, prefixName: 'other' })).toEqual(at('other'));
    await expect(resolvePrefix({ cwd: root, workdirPath: 'project' })).rejects.toMatchObject({
      code: 'workdir.missing',
      message: `Unable to find workdir in ${project}\nFound possible workdirs in: ${lago}`,
    });
    await expect(resolvePrefix({ cwd: project, workdirPath: join(project, 'src', 'deep') })).rejects.toMatchObject({
      message: `Unable to find workdir in ${join(project, 'src', 'deep')}`,
    });
    await expect(resolvePrefix({ cwd: project, workdirPath: 'missing' })).rejects.toMatchObject({ code: 'workdir.missing' });
  });
  it('names workdirs one level down', async () => {
    await expect(resolvePrefix({ cwd: root })).rejects.toMatchObject({
      code: 'workdir.missing',
      message: `Unable to find workdir in ${root}\nFound possible workdirs in: ${lago}`,
    });
  });
  it('reports what is wrong with a named workdir', async () => {
    mkdirSync(join(root, 'bad', 'current'), { recursive: true });
    await expect(resolvePrefix({ cwd: root, workdirPath: 'bad' })).rejects.toMatchObject({ code: 'workdir.malformed' });
  });
  it('takes a prefix path exactly', async () => {
    expect(await resolvePrefix({ cwd: root, prefixPath: 'project/.lago/other' })).toEqual(at('other'));
    const plain = makePrefix(join(root, 'old', '.lago'));
    expect(await resolvePrefix({ cwd: root, prefixPath: 'old' })).toEqual({ path: plain, name: '.lago', workdir: null });
    await expect(resolvePrefix({ cwd: root, prefixPath: 'project/src' })).rejects.toMatchObject({
      code: 'prefix.missing',
      message: `Unable to find prefix for ${join(project, 'src')}`,
    });
    await expect(resolvePrefix({ cwd: root, prefixPath: lago })).rejects.toMatchObject({ hint: 'It is a workdir: use --workdir-path.' });
  });
  it('names the prefixes when the wanted one is missing', async () => {
    await expect(resolvePrefix({ cwd: project, prefixName: 'nope' })).rejects.toMatchObject({
      code: 'prefix.missing',
      message: `Unable to find prefix "nope" in workdir ${lago}`,
      hint: 'It has: default, other.',
    });
  });
  it('returns real paths', async () => {
    symlinkSync(project, join(root, 'link'));
    expect(await resolvePrefix({ cwd: join(root, 'link') })).toEqual(at('default'));
  });
  it('finds just the workdir for verbs that need no more', async () => {
    expect((await resolveWorkdir({ cwd: join(project, 'src') })).path).toBe(lago);
  });
});
