import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { buildRpms } from './build-packages.test-support.ts';
import { type MergeResult, mergeRepos } from './merge.ts';
import { readRepomanConfig, repomanOptions } from './repoman-options.ts';
import { parseSource } from './source.ts';

let base = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'lago-repoman-'));
});
afterEach(() => rmSync(base, { recursive: true }));

describe('reading', () => {
  test('what Lago gives to repoman is accepted silently', () => {
    const options = ['main.on_empty_source=warn', 'store.RPMStore.on_wrong_distro=copy_to_all', 'store.RPMStore.rpm_dir='];
    expect(repomanOptions(options)).toEqual({ policy: { onEmptySource: 'warn', onWrongDistro: 'copy_to_all' }, notFollowed: [] });
  });

  test.each([
    ['store.RPMStore.with_srcrpms=True', /with_srcrpms=true of repoman is not followed: here packages of sources are left out\.$/],
    ['store.RPMStore.signing_key=/k', /nothing is signed\.$/],
    ['store.Other=1', /^The option store\.Other of repoman means nothing here\.$/],
  ])('%s is said', (option, said) => {
    expect(repomanOptions([option]).notFollowed).toEqual([expect.stringMatching(said) as string]);
  });

  test.each([
    ['main.on_empty_source=fail', { onEmptySource: 'fail' }],
    ['store.RPMStore.on_wrong_distro=fail', { onWrongDistro: 'fail' }],
    ['store.RPMStore.on_wrong_distro=warn', { onWrongDistro: 'skip' }],
  ])('%s is followed', (option, policy) => {
    expect(repomanOptions(['main.on_empty_source=warn', 'store.RPMStore.on_wrong_distro=copy_to_all', option])).toMatchObject({
      policy,
      notFollowed: [],
    });
  });

  test('a file of options', async () => {
    const path = join(base, 'repoman.conf');
    const store = '[store.RPMStore]\n# links\nextra_symlinks =\n\tel6:6Server\n\tel7:7Server\nwith_srcrpms = false\n';
    writeFileSync(path, `${store}[main]\non_empty_source=fail\n[source.KojiBuildSource]\nkoji_server = http://koji.example\n`);
    const options = await readRepomanConfig(path);
    expect(options).toEqual([
      'store.RPMStore.extra_symlinks=el6:6Server el7:7Server',
      'store.RPMStore.with_srcrpms=false',
      'main.on_empty_source=fail',
      'source.KojiBuildSource.koji_server=http://koji.example',
    ]);
    expect(repomanOptions(options)).toMatchObject({ policy: { onEmptySource: 'fail' }, notFollowed: { length: 2 } });
  });

  test('a file that is missing or something else', async () => {
    await expect(readRepomanConfig(join(base, 'none'))).rejects.toMatchObject({ code: 'input.missing-file' });
    writeFileSync(join(base, 'text'), 'on_empty_source=fail\n');
    await expect(readRepomanConfig(join(base, 'text'))).rejects.toThrow(/text:1: .*stands before the first section/);
  });
});

describe('merging', () => {
  const FOR_EL9 = 'one-1-1.el9.noarch.rpm';
  beforeEach(async () => {
    mkdirSync(join(base, 'build'));
    mkdirSync(join(base, 'empty'));
    await buildRpms(join(base, 'build'), [
      { name: 'one', version: '1', release: '1.el9' },
      { name: 'any', version: '1', release: '1' },
    ]);
  });

  async function merge(sources: readonly string[], option: string): Promise<MergeResult> {
    const { policy } = repomanOptions([option]);
    const request = { sources: sources.map((text) => parseSource(text, base)), into: join(base, 'into'), distros: ['el9'], policy };
    return await mergeRepos(request, { log: silentLog });
  }

  test('a source without packages can be an error', async () => {
    const failed = merge(['build', 'empty'], 'main.on_empty_source=fail');
    await expect(failed).rejects.toMatchObject({ code: 'input.missing-file', message: 'empty has no packages.' });
  });

  test('a package without a distribution can be left out, or an error', async () => {
    const any = join(base, 'build/any-1-1.noarch.rpm');
    const { problems } = await merge(['build'], 'store.RPMStore.on_wrong_distro=warn');
    expect(problems).toEqual([`The release of ${any} names no distribution: left out, as store.RPMStore.on_wrong_distro says.`]);
    expect(readdirSync(join(base, 'into/el9/noarch'))).toEqual([FOR_EL9]);
    const failed = merge(['build'], 'store.RPMStore.on_wrong_distro=fail');
    await expect(failed).rejects.toMatchObject({ code: 'input.invalid', message: `The release of ${any} names no distribution.` });
  });
});
