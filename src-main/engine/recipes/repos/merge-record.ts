import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MergeReport } from '../../../../src-shared/repos/merged-packages.ts';
import { readJson, writeFileAtomic } from '../../core/files/json-file.ts';
import { isMergeRecord, type PrefixPaths } from '../../prefix/layout.ts';
import type { MergeResult, RepoContents } from '../../repos/merge/merge.ts';
import { versionText } from '../../repos/merge/package-file.ts';

/** A merge as the environment remembers it: a file beside the repositories, also for merges of other processes. */
export const MergeRecord = MergeReport.extend({
  version: z.literal(1),
  repos: z.array(
    z.object({
      distro: z.string(),
      /** The folder that the distribution's name has led to since: another one now was made by a merge that came later. */
      folder: z.string(),
      /** `source`: index into `sources`. */
      packages: z.array(
        z.object({ name: z.string(), version: z.string(), arch: z.string(), size: z.number(), source: z.number().int().min(0) }),
      ),
    }),
  ),
});
export type MergeRecord = z.infer<typeof MergeRecord>;

/** Records a merge in place of the one before into the same place. */
export async function writeMergeRecord(
  paths: PrefixPaths,
  merge: Pick<MergeResult, 'conflicts' | 'problems' | 'older'> & Pick<MergeReport, 'name' | 'sources' | 'known'>,
  contents: readonly RepoContents[],
): Promise<void> {
  const { name, sources, conflicts, problems, older, known } = merge;
  const record: MergeRecord = {
    version: 1,
    ...{ name, at: Date.now(), sources, conflicts: [...conflicts], problems: [...problems], older, known },
    repos: contents.map(({ distro, folder, packages }) => ({
      distro,
      folder,
      packages: packages.map(({ file, source }) => ({
        ...{ name: file.name, version: versionText(file), arch: file.arch, size: file.size },
        source,
      })),
    })),
  };
  // Not indented as other records: it may have tens of thousands of packages.
  await writeFileAtomic(paths.mergeRecord(name), JSON.stringify(record));
}

/** What was recorded of the last merges, one into each place. */
export async function readMergeRecords(paths: PrefixPaths): Promise<readonly MergeRecord[]> {
  const names = (await readdir(paths.root)).filter((name) => isMergeRecord(name)).sort();
  const records = await Promise.all(names.map(async (name) => await readJson(join(paths.root, name), MergeRecord)));
  return records.filter((record) => record !== undefined);
}
