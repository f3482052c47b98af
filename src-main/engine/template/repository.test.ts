import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { createLog } from '../core/log.ts';
import { findRepositoryByName, findTemplate, loadRepository, readRepositories } from './repository.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago repository '));
});
afterAll(() => rmSync(folder, { recursive: true }));

function repository(over: object = {}): object {
  return {
    name: 'office',
    sources: {
      web: { type: 'http', args: { baseurl: 'http://templates.example/repo//' } },
      disk: { type: 'file', args: { root: '$ROOT/${UNSET}/x' } },
      near: { type: 'file', args: { root: 'images' } },
    },
    templates: {
      el7: {
        versions: {
          v1: { source: 'web', handle: 'el7/v1 a.qcow2', timestamp: 1428328144 },
          v2: { source: 'web', handle: '/el7/v2.qcow2', timestamp: '1511882917.79' },
        },
      },
      local: { versions: { v1: { source: 'disk', handle: 'a.qcow2', timestamp: 1, sha256: 'A'.repeat(64) } } },
      beside: { versions: { v1: { source: 'near', handle: 'a.qcow2', timestamp: 1 } } },
    },
    ...over,
  };
}

function write(name: string, value: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

test('a repository of Lago is a catalogue of URLs', async () => {
  const path = write('repo.json', repository());
  const loaded = await loadRepository(path, { env: { ROOT: '/srv/images' } });
  expect(findTemplate(loaded, 'el7')).toMatchObject({
    fullName: 'office:el7:v2',
    url: 'http://templates.example/repo/el7/v2.qcow2',
    timestamp: 1511882917.79,
  });
  expect(findTemplate(loaded, 'el7', 'v1').url).toBe('http://templates.example/repo/el7/v1%20a.qcow2');
  expect(findTemplate(loaded, 'local')).toMatchObject({
    url: 'file:///srv/images/$%7BUNSET%7D/x/a.qcow2',
    checksums: { sha256: 'a'.repeat(64) },
  });
  expect(findTemplate(loaded, 'beside').url).toBe(pathToFileURL(join(folder, 'images/a.qcow2')).href);
});

test('a missing template is named, with the most similar known one', async () => {
  const loaded = await loadRepository(write('repo.json', repository()));
  expect(() => findTemplate(loaded, 'el8')).toThrow(
    expect.objectContaining({
      code: 'template.missing',
      message: `The template repository office (${join(folder, 'repo.json')}) has no template "el8".`,
      hint: 'Did you mean "el7"?',
    }),
  );
  expect(() => findTemplate(loaded, 'something-else')).toThrow(expect.objectContaining({ hint: 'There are: el7, local, beside.' }));
  expect(() => findTemplate(loaded, 'el7', 'v3')).toThrow(
    expect.objectContaining({ code: 'template.missing', hint: expect.stringMatching(/v[12]/) }),
  );
});

test.each([
  ['no JSON', '{'],
  ['no repository', { name: 'x' }],
  ['an unknown source', repository({ sources: {} })],
  ['an unknown kind of source', repository({ sources: { web: { type: 'ftp' }, disk: { type: 'ftp' }, near: { type: 'ftp' } } })],
  ['a handle that climbs out', repository({ templates: { a: { versions: { v: { source: 'near', handle: '../../etc/shadow' } } } } })],
  ['a name that climbs out', repository({ templates: { '../a': { versions: {} } } })],
  ['a name with a control character', repository({ templates: { 'a\nb': { versions: {} } } })],
  ['a checksum that is none', repository({ templates: { a: { versions: { v: { source: 'near', handle: 'a', sha1: 'xyz' } } } } })],
])('%s is refused with the path of the file', async (_, content) => {
  const path = write('bad.json', content);
  await expect(loadRepository(path)).rejects.toMatchObject({ code: 'input.invalid', message: expect.stringContaining(path) });
});

test('a repository may come from a server', async () => {
  await using server = await startMisbehavingServer();
  const near = repository();
  server.put('/repo.json', JSON.stringify(near));
  await expect(loadRepository(`${server.url}/repo.json`)).rejects.toMatchObject({
    code: 'remote.invalid',
    message: expect.stringContaining('relative root'),
  });
  server.put('/repo.json', JSON.stringify(repository({ templates: {} })));
  expect((await loadRepository(`${server.url}/repo.json`)).name).toBe('office');
  await expect(loadRepository(`${server.url}/none.json`)).rejects.toMatchObject({ code: 'remote.invalid' });
  await expect(loadRepository(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'input.missing-file' });
});

test('a repository is found by name below a folder', async () => {
  const below = join(folder, 'repos/git');
  mkdirSync(below, { recursive: true });
  writeFileSync(join(below, 'broken.json'), '{');
  writeFileSync(join(below, 'office.json'), JSON.stringify(repository({ templates: {} })));
  const warnings: string[] = [];
  const log = createLog((level, message) => level === 'warn' && warnings.push(message));
  expect((await findRepositoryByName('office', join(folder, 'repos'), { log })).location).toBe(join(below, 'office.json'));
  expect(warnings).toHaveLength(1);
  await expect(findRepositoryByName('ofice', join(folder, 'repos'))).rejects.toMatchObject({
    code: 'template.missing',
    hint: 'Did you mean "office"?',
  });
  await expect(findRepositoryByName('office', join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'template.missing' });
});

test('added repositories are read without git’s own files and unfinished clones', async () => {
  const added = join(folder, 'added');
  for (const inner of ['office', 'office/.git', '.0a1b2c3d.clone']) {
    mkdirSync(join(added, inner), { recursive: true });
    writeFileSync(join(added, inner, 'repo.json'), JSON.stringify(repository()));
  }
  const found = await readRepositories(added);
  expect(found.map(({ location }) => location)).toEqual([join(added, 'office/repo.json')]);
});
