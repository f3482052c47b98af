import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { run, runChecked } from '../../core/run.ts';
import type { PackageKeys } from '../packages/fetch-packages.ts';

const BATCH = 100;

/**
 * Keys in a database of their own, which is made anew in `folder`: the machine's keys do not count. `input.invalid` when a key cannot be read, `host.missing-tool` without rpm. */
export async function openPackageKeys(folder: string, keys: readonly Buffer[], signal?: AbortSignal): Promise<PackageKeys> {
  const database = join(folder, 'rpm');
  try {
    await rm(database, { recursive: true, force: true });
    await mkdir(database, { recursive: true });
    for (const [index, key] of keys.entries()) await writeFile(join(folder, `key-${index}`), key);
  } catch (error) {
    throw diskError(error, folder);
  }
  const paths = keys.map((_, index) => join(folder, `key-${index}`));
  try {
    await runChecked(['rpmkeys', '--dbpath', database, '--import', ...paths], 'The keys of the repository cannot be read.', { signal });
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'host.unavailable') throw error;
    throw new EngineError('input.invalid', error.message, {
      cause: error,
      details: error.details,
      hint: 'Check gpgkey of the repository.',
    });
  }

  async function check(files: readonly string[], signal_: AbortSignal | undefined): Promise<ReadonlyMap<string, string>> {
    const argv = ['rpmkeys', '--dbpath', database, '--define', '_pkgverify_level all', '--checksig', ...files];
    const { stdout, stderr } = await run(argv, { signal: signal_ });
    const verdicts = new Map<string, string>();
    for (const line of stdout.split('\n')) {
      const file = files.find((one) => line.startsWith(`${one}: `));
      if (file !== undefined) verdicts.set(file, line.slice(file.length + 2));
    }
    const wrong = files.filter((file) => verdicts.get(file) !== 'digests signatures OK');
    return new Map(wrong.map((file) => [file, verdicts.get(file) ?? stderr.trim().split('\n').at(-1) ?? 'rpm did not check it']));
  }

  return {
    async unsigned(files, signal_) {
      const found: [string, string][] = [];
      for (let at = 0; at < files.length; at += BATCH) found.push(...(await check(files.slice(at, at + BATCH), signal_)));
      return new Map(found);
    },
  };
}
