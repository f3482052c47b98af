import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { ServedBy, ServedState } from '../../../../src-shared/repos/packages-state.ts';
import { readJson } from '../../core/files/json-file.ts';
import type { Host } from '../../host/host.ts';
import { isRepoServer } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { RepoServerNotice, type RepoServerSpec } from '../../repos/serve/repo-server.ts';
import { isServed } from './package-server.ts';

/** A server that has told of itself; it may have been killed since. */
export interface KnownServer {
  /** Its file. */
  readonly path: string;
  readonly notice: RepoServerNotice;
}

/** The notice of a server that is about to begin. */
export function newServer(prefix: Prefix, by: ServedBy): NonNullable<RepoServerSpec['notice']> {
  return { path: prefix.paths.repoServer(randomBytes(4).toString('hex')), by };
}

/** The servers of an environment's packages that have told of themselves, of this process and of any other. */
export async function noticesOf(prefix: Pick<Prefix, 'paths'>): Promise<readonly KnownServer[]> {
  const found = await Promise.all(
    (await noticePaths(prefix)).map(async (path) => {
      const notice = await readJson(path, RepoServerNotice);
      return notice === undefined ? [] : [{ path, notice }];
    }),
  );
  return found.flat();
}

async function noticePaths({ paths }: Pick<Prefix, 'paths'>): Promise<readonly string[]> {
  const names = await readdir(paths.root);
  return names.filter((name) => isRepoServer(name)).map((name) => join(paths.root, name));
}

/** Those of them that answer now. */
export async function livingServers(host: Host, prefix: Pick<Prefix, 'paths'>, signal: AbortSignal): Promise<readonly KnownServer[]> {
  const known = await noticesOf(prefix);
  const living = await Promise.all(known.map(async ({ notice }) => await answers(host, notice, signal)));
  return known.filter((_, at) => living[at] === true);
}

async function answers(host: Host, notice: RepoServerNotice, signal: AbortSignal): Promise<boolean> {
  try {
    return await isServed(host, notice, signal);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'host.unavailable') return false;
    throw error;
  }
}

/** What the environment's state says of a server. */
export function servedState({ notice: { address, port, folder, by } }: KnownServer): ServedState {
  return { url: `http://${address}:${port}/`, folder, by };
}

/** Removes what servers have left that were killed. */
export async function removeOldNotices(host: Host, prefix: Pick<Prefix, 'paths'>, signal: AbortSignal): Promise<void> {
  for (const { path, notice } of await noticesOf(prefix)) if (!(await answers(host, notice, signal))) await rm(path, { force: true });
}

/** Removes all of them: no server can run any more. */
export async function removeNotices(prefix: Pick<Prefix, 'paths'>): Promise<void> {
  await Promise.all((await noticePaths(prefix)).map(async (path) => await rm(path, { force: true })));
}
