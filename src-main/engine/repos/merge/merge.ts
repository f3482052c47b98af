import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/json-file.ts';
import { takeLock } from '../../core/lock.ts';
import type { Log } from '../../core/log.ts';
import { nothingToMerge, type SourceAccount, whyEmpty } from './account.ts';
import { choosePackages, type MergeConflict } from './choose.ts';
import { isDistroName, takesKind } from './distro.ts';
import { linkOrCopy } from './link-file.ts';
import { makeDebMetadata, makeRpmMetadata } from './metadata.ts';
import { modulesOf, withStreams } from './modules.ts';
import { type PackageFile, repositoryName } from './package-file.ts';
import { applyPolicy, DEFAULT_POLICY, type MergePolicy } from './policy.ts';
import { readSource } from './read-source.ts';
import type { MergeSource } from './source.ts';

export interface MergeRequest {
  readonly sources: readonly MergeSource[];
  /** Folder that gets a repository for each distribution. */
  readonly into: string;
  /** Names of distributions, which become folders. */
  readonly distros: readonly string[];
  readonly policy?: MergePolicy;
}

export interface MergeOptions {
  readonly signal?: AbortSignal | undefined;
  readonly log: Log;
  readonly onProgress?: (fraction: number, what: string) => void;
}

export interface MergedRepo {
  readonly distro: string;
  readonly path: string;
  readonly packages: number;
  /** Of all packages. */
  readonly bytes: number;
}

/** What became a distribution's repository. */
export interface RepoContents {
  readonly distro: string;
  /** The true folder, relative to where the distribution's name is. */
  readonly folder: string;
  /** With the index of the source that each came from. */
  readonly packages: readonly { readonly file: PackageFile; readonly source: number }[];
}

export interface MergeResult {
  readonly repos: readonly MergedRepo[];
  readonly conflicts: readonly MergeConflict[];
  /** What a user should know: sentences. */
  readonly problems: readonly string[];
  /** Packages of which there is a newer version. */
  readonly older: number;
  /** Bytes that had to be copied, because links cannot lead to them. */
  readonly copied: number;
}

/** A merge with what it made. */
export interface Merged extends MergeResult {
  readonly contents: readonly RepoContents[];
  /** How many packages `only-missing` left out. */
  readonly known: number;
}

/** What is beside the repositories: the true folders, which links of the distributions' names lead to, and what is kept for later. */
const HIDDEN = '.merged';

/**
 * Merges packages into one repository for each distribution: `INTO/DISTRO/ARCH/`, with metadata for dnf, yum and apt. Files are linked, not
 * copied, where the file system allows it. A repository is replaced at once, when it is complete; a merge that is interrupted, or finds no
 * package at all (`input.missing-file`), changes nothing. Errors: `input.invalid`, `input.missing-file`, `conflict.locked`, `host.no-space`,
 * `host.missing-tool`, `cancelled`.
 */
export async function mergeRepos(
  { sources, into, distros, policy = DEFAULT_POLICY }: MergeRequest,
  options: MergeOptions,
): Promise<Merged> {
  const { signal, log } = options;
  const wrong = distros.find((distro) => !isDistroName(distro));
  if (wrong !== undefined) throw new EngineError('input.invalid', `"${wrong}" cannot be the name of a distribution.`);
  const hidden = join(into, HIDDEN);
  await mkdir(hidden, { recursive: true }).catch((error: unknown) => {
    throw diskError(error, hidden);
  });
  await using _lock = await takeLock(join(hidden, 'lock'), { purpose: 'repo merge', signal, waitMs: 300 });
  await removeRemains(into, hidden);
  const problems: string[] = [];
  const accounts: SourceAccount[] = [];
  const places = { downloads: join(hidden, 'downloads'), scratch: join(hidden, asideName('read')), signal, log };
  for (const [at, source] of sources.entries()) {
    options.onProgress?.((0.5 * at) / sources.length, source.text);
    const account = applyPolicy(await readSource(source, places), policy);
    problems.push(...[whyEmpty(account)].filter((why) => why !== undefined), ...account.refused, ...account.problems);
    accounts.push(account);
  }
  const modules = accounts.flatMap((account) => account.modules);
  const offered = accounts.map(({ source, packages }) => ({ source, packages: withStreams(packages, modules) }));
  const { chosen, conflicts, older, known, foreign } = await choosePackages(offered, distros, haveSameContent);
  if ([...chosen.values()].every((files) => files.length === 0)) throw nothingToMerge(accounts, distros);
  for (const [tag, count] of foreign)
    problems.push(`${count} for ${tag} left out: ${distros.join(', ')} ${distros.length === 1 ? 'is' : 'are'} wanted.`);
  if (known > 0) log.info(`${known} of sources with only-missing were left out: others have them.`);
  // Of a file that two sources have, the first one counts.
  const sourceOf = new Map(accounts.flatMap(({ packages }, at) => packages.map(({ path }) => [path, at] as const)).reverse());
  const repos: MergedRepo[] = [];
  const contents: RepoContents[] = [];
  let copied = 0;
  for (const [distro, files] of chosen) {
    options.onProgress?.(0.5 + (0.5 * repos.length) / chosen.size, distro);
    const made = await makeRepo({ into, hidden, distro, files, modules: modulesOf(files, modules) }, signal);
    copied += made.copied;
    if (files.length === 0) problems.push(`${distro} has no packages: none of the sources has any for it.`);
    contents.push({ distro, folder: made.folder, packages: files.map((file) => ({ file, source: sourceOf.get(file.path) ?? 0 })) });
    repos.push({ distro, path: join(into, distro), packages: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) });
  }
  if (copied > 0)
    problems.push(`${formatBytes(copied)} were copied, because links from ${into} cannot lead to them (as to another file system).`);
  return { repos, conflicts, problems, older, copied, contents, known };
}

async function haveSameContent(one: PackageFile, other: PackageFile): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map(async ({ path }) => await stat(path)));
  if (a?.ino === b?.ino && a?.dev === b?.dev) return true;
  if (one.size !== other.size) return false;
  const [left, right] = await Promise.all([one, other].map(async ({ path }) => await digestOf(path)));
  return left === right;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

interface NewRepo {
  readonly into: string;
  readonly hidden: string;
  readonly distro: string;
  readonly files: readonly PackageFile[];
  /** A modules.yaml. */
  readonly modules: string | undefined;
}

/** Makes the repository of a distribution aside, then lets its name lead there. Returns where to, and how many bytes were copied. */
async function makeRepo(
  { into, hidden, distro, files, modules }: NewRepo,
  signal: AbortSignal | undefined,
): Promise<{ readonly folder: string; readonly copied: number }> {
  const place = join(into, distro);
  const name = asideName(distro);
  const folder = join(hidden, name);
  const target = `${HIDDEN}/${name}`;
  const before = await currentOf(place);
  let copied = 0;
  let gone: string | undefined;
  try {
    await mkdir(folder);
    for (const arch of new Set(files.map((file) => file.arch))) await mkdir(join(folder, arch));
    for (const file of files) {
      signal?.throwIfAborted();
      copied += await linkOrCopy(file.path, join(folder, file.arch, repositoryName(file)));
    }
    const metadata = { before, cache: join(hidden, `${distro}.db`), signal };
    const kinds = new Set(files.map(({ kind }) => kind));
    // One without packages is one too: guests that use it would fail otherwise.
    const isMade = (kind: PackageFile['kind']): boolean => kinds.has(kind) || (kinds.size === 0 && takesKind(distro, kind));
    if (isMade('rpm')) await makeRpmMetadata(folder, { ...metadata, modules });
    if (isMade('deb')) await makeDebMetadata(folder, metadata);
    gone = await pointTo(place, target, hidden);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw diskError(error, folder);
  }
  // A link of the user's own leads to what is the user's.
  const old = gone ?? (before !== undefined && dirname(before) === hidden ? before : undefined);
  if (old !== undefined) await rm(old, { recursive: true, force: true });
  return { folder: target, copied };
}

/** The folder that a distribution's name leads to. */
async function currentOf(place: string): Promise<string | undefined> {
  try {
    return (await lstat(place)).isSymbolicLink() ? join(place, '..', await readlink(place)) : place;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Lets the name lead to a folder, at once: nobody sees it missing. Only a true folder of that name, as Lago made it, is moved away first; the
 * result is where to.
 */
async function pointTo(place: string, target: string, hidden: string): Promise<string | undefined> {
  const link = join(hidden, asideName('link'));
  await symlink(target, link);
  const present = await lstat(place).catch(() => undefined);
  const aside = present?.isDirectory() === true ? join(hidden, asideName('old')) : undefined;
  if (aside !== undefined) await rename(place, aside);
  await rename(link, place);
  return aside;
}

/** A name for something that is being made or removed; `removeRemains` knows it. */
function asideName(what: string): string {
  return `${what}.${randomBytes(4).toString('hex')}`;
}

/** Removes what interrupted merges and repositories that were replaced have left. */
async function removeRemains(into: string, hidden: string): Promise<void> {
  const current = new Set<string>();
  for (const entry of await readdir(into, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) current.add(join(into, await readlink(join(into, entry.name))));
  }
  for (const name of await readdir(hidden)) {
    const path = join(hidden, name);
    const isRepo = /\.[0-9a-f]{8}$/.test(name);
    if (isRepo && !current.has(path)) await rm(path, { recursive: true, force: true });
  }
}
