import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { dropFile } from './support/drop.ts';
import { useScratch } from './support/prologue.ts';
import type { Scratch } from './support/scratch.ts';
import { openDesktop } from './support/window.ts';

let scratch: Scratch;

useScratch((made) => {
  scratch = made;
});

test('an init file gets files outside its folder only with consent', async () => {
  const [theirs, key] = [join(scratch.dir, 'theirs'), join(scratch.dir, 'key')];
  mkdirSync(theirs);
  writeFileSync(key, 'secret\n');
  const file = join(theirs, 'stranger.yaml');
  writeFileSync(
    file,
    'domains:\n  vm: {nics: [{net: n}], disks: [{name: d, type: file, format: raw, dev: vda, path: ../key}]}\nnets: {n: {}}\n',
  );
  const { page } = await openDesktop(scratch);
  await dropFile(page, page.locator('#root'), file);
  const question = page.getByRole('region', { name: 'Files outside of the init file’s folder' });
  await expect(question).toContainText(key);
  await expect(question).toContainText('a guest can read and change it');
  const create = page.getByRole('button', { name: 'Create only' });
  await expect(create).toBeDisabled();
  const yes = question.getByRole('checkbox');
  await yes.check();
  await expect(create).toBeEnabled();
  await yes.uncheck();
  await expect(create).toBeDisabled();
});
