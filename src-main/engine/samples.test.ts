import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parseInitFile } from '../../src-shared/init-file/parse.ts';
import { readSamples } from './samples.ts';

test('every sample is a correct init file with VMs of the sample template', async () => {
  const samples = await readSamples(resolve(import.meta.dirname, '../../resources'));
  expect(samples.map(({ id }) => id)).toEqual(['two-vms', 'one-vm', 'three-vms-bridge']);
  for (const { path } of samples) {
    const text = await readFile(path, 'utf8');
    expect(parseInitFile(text, path).issues).toEqual([]);
    expect(text).toContain('template_name: lago-sample');
  }
});
