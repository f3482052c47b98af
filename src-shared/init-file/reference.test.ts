import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { initFileJsonSchema, initFileReference } from './reference.ts';

const docs = join(import.meta.dirname, '../../docs');

it('every key has a description and the release that added it', () => {
  const rows = initFileReference()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(50);
  for (const row of rows) expect(row).toMatch(/^\| `[\w-]+` \| (?:0\.\d\d|new) \| \S.* \|$/);
});

it('the written pages are those of the schema (run scripts/write-references.ts)', () => {
  expect(readFileSync(join(docs, 'init-file.md'), 'utf8')).toBe(initFileReference());
  expect(JSON.parse(readFileSync(join(docs, '../resources/init-file.schema.json'), 'utf8'))).toEqual(initFileJsonSchema());
});

it('the JSON Schema allows loose values', () => {
  const text = JSON.stringify(initFileJsonSchema());
  expect(text).toContain('"based-on"');
  expect(text).toContain('Memory in MiB');
  expect(initFileJsonSchema()).toMatchObject({ type: 'object', required: ['domains', 'nets'] });
});
