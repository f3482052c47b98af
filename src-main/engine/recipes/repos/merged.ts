import { existsSync } from 'node:fs';
import { readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { MergedPackages, MergedRepo, MergeReport } from '../../../../src-shared/repos/merged-packages.ts';
import { type Prefix, readPrefix, requireDisksHere } from '../../prefix/prefix.ts';
import { listPackages } from '../../repos/merge/list-packages.ts';
import { clientFile, servedRepos } from '../../repos/serve/client-file.ts';
import { livingServers, servedState } from '../../runtime/packages/notices.ts';
import { packageServer } from '../../runtime/packages/package-server.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { type MergeRecord, readMergeRecords } from './merge-record.ts';

/** What an environment has of packages: its merged repositories, what the merges said, and what guests need to use them. */
export async function mergedPackages(context: RecipeContext, root: string, signal: AbortSignal): Promise<MergedPackages> {
  const prefix = await readPrefix(root);
  const records = await readMergeRecords(prefix.paths);
  const { internalRepo } = prefix.paths;
  const repos = existsSync(internalRepo) ? await reposOf(internalRepo, records) : [];
  const place = await placeOf(context, prefix, signal);
  const own = prefix.record?.repos;
  return {
    reports: records.map(reportOf),
    repos: [...repos],
    declared: own === undefined ? null : { files: own.files, sources: own.sources, serve: own.serve, client: own.client },
    ...place,
    clients: place.url === null || !existsSync(internalRepo) ? [] : await clientsAt(place.url, internalRepo),
  };
}

function reportOf({ name, at, sources, conflicts, problems, older, known }: MergeRecord): MergeReport {
  return { name, at, sources, conflicts, problems, older, known };
}

/** The repositories of the usual place, and of those that were given a name. */
async function reposOf(folder: string, records: readonly MergeRecord[]): Promise<readonly MergedRepo[]> {
  const places = [null, ...records.flatMap(({ name }) => name ?? [])];
  const found = await Promise.all(
    places.map(async (name) => {
      const place = name === null ? folder : join(folder, name);
      const record = records.find((one) => one.name === name);
      const distros = existsSync(place) ? new Set((await servedRepos(place)).map(({ distro }) => distro)) : [];
      return await Promise.all(
        [...distros].map(async (distro): Promise<MergedRepo> => {
          const path = [name, distro].filter((part) => part !== null && part !== '').join('/');
          return { folder: path, distro, ...(await contentOf(join(folder, path), distro, record)) };
        }),
      );
    }),
  );
  return found.flat();
}

/** What the record tells of a repository if it is about this one, else what is in its folder. */
async function contentOf(path: string, distro: string, record: MergeRecord | undefined): Promise<Pick<MergedRepo, 'at' | 'packages'>> {
  const recorded = record?.repos.find((repo) => repo.distro === distro);
  if (record !== undefined && recorded !== undefined && (await targetOf(path)) === recorded.folder) {
    const textOf = (source: number): string | null => record.sources[source]?.text ?? null;
    return { at: record.at, packages: recorded.packages.map((one) => ({ ...one, source: textOf(one.source) })) };
  }
  const listed = await listPackages(await realpath(path));
  return { at: null, packages: listed.map((one) => ({ ...one, source: null })) };
}

/** Where a link leads; undefined for a true folder. */
async function targetOf(path: string): Promise<string | undefined> {
  return await readlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EINVAL') return undefined;
    throw error;
  });
}

async function placeOf(context: RecipeContext, prefix: Prefix, signal: AbortSignal): Promise<Pick<MergedPackages, 'url' | 'problem'>> {
  try {
    requireDisksHere(prefix, 'Serving packages');
    const { folder, address, port } = packageServer(prefix);
    const session = await context.hosts.find(prefix, signal);
    const servers = session === undefined ? [] : (await livingServers(session.host, prefix, signal)).map(servedState);
    return { url: servers.find((one) => one.folder === folder)?.url ?? `http://${address}:${port}/`, problem: null };
  } catch (error) {
    if (!(error instanceof EngineError) || !['not-available', 'host.unusable'].includes(error.code)) throw error;
    return { url: null, problem: error.message };
  }
}

async function clientsAt(url: string, folder: string): Promise<MergedPackages['clients']> {
  return (await servedRepos(folder)).map((repo) => ({ ...repo, ...clientFile(url, repo) }));
}
