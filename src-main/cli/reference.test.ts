import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '../../src-shared/settings.ts';
import { createRegistry } from '../engine/index.ts';
import { FORMATS } from './output/formats.ts';
import { program } from './program.ts';
import { commandLineReference, configurationReference } from './reference.ts';

const docs = join(import.meta.dirname, '../../docs');
const spec = program('', createRegistry([], { builtIn: FORMATS }));

describe('the written pages are those of the tables (run "npm run docs")', () => {
  it.each([
    ['command-line.md', commandLineReference(spec)],
    ['configuration.md', configurationReference()],
  ])('%s', (name, text) => expect(readFileSync(join(docs, name), 'utf8')).toBe(text));
});

it('docs/command-line.md has every verb and every option', () => {
  const text = commandLineReference(spec);
  for (const verb of spec.verbs) expect(text).toContain(`\n## lago ${verb.name}\n`);
  for (const option of [...spec.options, ...spec.verbs.flatMap((verb) => verb.options)]) expect(text).toContain(option.help);
});

it('docs/configuration.md has every key with its variable', () => {
  const text = configurationReference();
  for (const setting of SETTINGS) expect(text).toContain(`| \`${setting.key}\` | ${setting.type} |`);
});

it("the README's init file exists and has the VM that the README opens a shell in", () => {
  const readme = readFileSync(join(docs, '../README.md'), 'utf8');
  const file = /npx lago init (\S+)/.exec(readme)?.[1] ?? '';
  const vm = /npx lago shell (\S+)/.exec(readme)?.[1] ?? '';
  expect(existsSync(join(docs, '..', file))).toBe(true);
  expect(readFileSync(join(docs, '..', file), 'utf8')).toContain(`\n  ${vm}:\n`);
});
