import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../core/lock.ts';
import { runChecked } from '../core/run.ts';
import { addRepository, findClones } from './template-repos.ts';

let root: string;
let origin: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lago-repos-'));
  origin = join(root, 'origin');
  folder = join(root, 'repos');
  await mkdir(origin);
  await writeFile(join(origin, 'repo.json'), JSON.stringify({ name: 'one', sources: {}, templates: {} }));
  const git = async (...argv: readonly string[]): Promise<unknown> =>
    await runChecked(['git', '-C', origin, '-c', 'user.name=t', '-c', 'user.email=t@t', ...argv], 'git failed.');
  await git('init', '--quiet');
  await git('add', '.');
  await git('commit', '--quiet', '-m', 'one');
});
afterEach(async () => await rm(root, { recursive: true, force: true }));

/** Leaves a half-finished clone of a process that ended and holds no lock. */
async function leaveHalfClone(name: string): Promise<void> {
  await mkdir(join(folder, name, '.git'), { recursive: true });
  await writeFile(join(folder, `${name}.lock`), '');
  const killed = spawn('flock', [join(folder, `${name}.lock`), 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
  killed.kill('SIGKILL');
  await new Promise((resolve) => killed.once('close', resolve));
}

test('the next add or update removes leftovers of a killed one', async () => {
  await leaveHalfClone('.0123abcd.clone');
  await addRepository(origin, folder);
  expect(await readdir(folder)).toEqual(['origin']);
  await leaveHalfClone('.0123abcd.clone');
  expect(await findClones(folder)).toEqual([join(folder, 'origin')]);
  expect(await readdir(folder)).toEqual(['origin']);
});

test('a clone in progress is left alone', async () => {
  await mkdir(join(folder, '.0123abcd.clone'), { recursive: true });
  await using _lock = await takeLock(join(folder, '.0123abcd.clone.lock'));
  await addRepository(origin, folder);
  expect(await findClones(folder)).toEqual([join(folder, 'origin')]);
  expect((await readdir(folder)).sort()).toEqual(['.0123abcd.clone', '.0123abcd.clone.lock', 'origin']);
});

test('of two adds of one repository one reports that it exists, and both leave nothing else', async () => {
  const outcomes = await Promise.allSettled([addRepository(origin, folder), addRepository(origin, folder)]);
  expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(outcomes.find((outcome) => outcome.status === 'rejected')?.reason).toMatchObject({ code: 'input.invalid' });
  expect(await readdir(folder)).toEqual(['origin']);
});
