import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseRepoFile } from './parse.ts';
import { readRepoFile } from './read-repo-file.ts';

const FOLDER = join(import.meta.dirname, '../../../../fixtures/lago/repos');
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.repo'));

interface ReadByPython {
  readonly baseurl: readonly string[];
  readonly exclude: readonly string[];
  readonly include: readonly string[];
}

const byPython = JSON.parse(readFileSync(join(FOLDER, 'read-by-python.json'), 'utf8')) as Record<string, Record<string, ReadByPython>>;

test.each(FILES.filter((name) => byPython[name] !== undefined))(
  '%s has no errors and is read as Python’s configparser does',
  async (name) => {
    const { sections, issues } = await readRepoFile(join(FOLDER, name), { distros: [] });
    expect(issues.filter(({ severity }) => severity === 'error')).toEqual([]);
    const read = sections.map((section) => {
      if (section.kind !== 'rpm') throw new Error(`${section.id} is no repository of rpm packages.`);
      const { id, baseurls, excludes, includes } = section;
      return [id, { baseurl: baseurls, exclude: excludes, include: includes }] as const;
    });
    const expected = JSON.parse(JSON.stringify(byPython[name]).replaceAll('$basearch', 'x86_64')) as Record<string, ReadByPython>;
    expect(read.map(([id]) => id)).toEqual(Object.keys(expected));
    expect(Object.fromEntries(read)).toEqual(expected);
  },
);

test('a template for Ansible is told where it has to be filled in', async () => {
  const [template = '', ...more] = FILES.filter((name) => byPython[name] === undefined);
  expect(more).toEqual([]);
  const { sections, issues } = await readRepoFile(join(FOLDER, template), { distros: ['el7'] });
  expect(sections.map(({ id }) => id)).toEqual(['lago-unstable']);
  expect(issues.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([
    '2:71 The file is a Jinja template: nothing has filled in "{{ dist_type }}".',
  ]);
});

/** Real files that something went wrong with: each is a sentence for each place, and never an exception. */
test.each<[string, (text: string) => string, RegExp | undefined]>([
  ['cut off', (text) => text.slice(0, text.length - 35), /^6:1 .* is no option\.$/],
  ['without the first line', (text) => text.replace(/^.*\n/, ''), /^1:1 .* stands before the first section\.$/],
  ['twice', (text) => text + text, /^7:1 .* is also in line 1; the options of both count together\.$/],
  ['with CRLF', (text) => text.replaceAll('\n', '\r\n'), undefined],
  ['with everything indented', (text) => text.replace(/^/gm, '\t'), /^2:2 An option cannot be indented\.$/],
  [
    'with a conflict of git',
    (text) => `<<<<<<< HEAD\n${text}=======\n${text}>>>>>>> other\n`,
    /^1:1 .* stands before the first section\.$/,
  ],
  ['as UTF-16', (text) => Buffer.from(text, 'utf16le').toString('utf8'), /^0:0 This is not a text file\.$/],
  ['compressed', (text) => `\x1f\x8b\x08\0${text}`, /^0:0 This is not a text file\.$/],
  ['with every “]” missing', (text) => text.replaceAll(']', ''), /^1:1 The “]” after .* is missing\.$/],
  ['with every “=” missing', (text) => text.replaceAll('=', ' '), /^2:1 .* is no option\.$/],
])('a file %s', (_, spoil, told) => {
  for (const name of FILES) {
    const spoilt = spoil(readFileSync(join(FOLDER, name), 'utf8'));
    const { issues } = parseRepoFile(spoilt, name, { distros: ['el7'] });
    const lines = spoilt.split('\n').length;
    for (const { line, column, message } of issues) {
      expect(message).toMatch(/^\S.*\.$/);
      expect(line === 0 ? column === 0 : line <= lines && column > 0, message).toBe(true);
    }
  }
  const spoilt = spoil(readFileSync(join(FOLDER, 'ovirt-system-tests__he-node-ng-suite-4.2__reposync-config.repo'), 'utf8'));
  const messages = parseRepoFile(spoilt, 'x.repo', { distros: ['el7'] }).issues.map((one) => `${one.line}:${one.column} ${one.message}`);
  if (told === undefined) expect(messages).toEqual([]);
  else expect(messages).toContainEqual(expect.stringMatching(told));
});
