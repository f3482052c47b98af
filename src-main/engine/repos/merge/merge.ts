import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/json-file.ts';
import { takeLock } from '../../core/lock.ts';
import type { Log } from '../../core/log.ts';
import { forEachLimit } from '../../core/until.ts';
import { choosePackages, type MergeConflict, type SourcePackages } from './choose.ts';
import { findPackages } from './find-packages.ts';
import { linkOrCopy } from './link-file.ts';
import { makeDebMetadata, makeRpmMetadata } from './metadata.ts';
import { isOrdinary, type PackageFile, repositoryName } from './package-file.ts';
import { readDeb } from './read-deb.ts';
import { NotAPackage, readRpm } from './read-rpm.ts';
import type { MergeSource } from './source.ts';

export interface MergeRequest {
  readonly sources: readonly MergeSource[];
  /** Folder that gets a repository for each distribution. */
  readonly into: string;
  /** Names of distributions, which become folders. */
  readonly distros: readonly string[];
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
const DISTRO = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const READERS = 4;

/**
 * Merges packages into one repository for each distribution: `INTO/DISTRO/ARCH/`, with metadata for dnf, yum and apt. Files are linked, not
 * copied, where the file system allows it. A repository is replaced at once, when it is complete; a merge that is interrupted changes
 * nothing. Errors: `input.invalid`, `input.missing-file`, `conflict.locked`, `host.no-space`, `host.missing-tool`, `cancelled`.
 */
export async function mergeRepos({ sources, into, distros }: MergeRequest, options: MergeOptions): Promise<Merged> {
  const { signal, log } = options;
  const wrong = distros.find((distro) => !DISTRO.test(distro));
  if (wrong !== undefined) throw new EngineError('input.invalid', `"${wrong}" cannot be the name of a distribution.`);
  const hidden = join(into, HIDDEN);
  await mkdir(hidden, { recursive: true }).catch((error: unknown) => {
    throw diskError(error, hidden);
  });
  await using _lock = await takeLock(join(hidden, 'lock'), { purpose: 'repo merge', signal, waitMs: 300 });
  await removeRemains(into, hidden);
  const problems: string[] = [];
  const found: SourcePackages[] = [];
  for (const [at, source] of sources.entries()) {
    options.onProgress?.((0.5 * at) / sources.length, source.text);
    found.push({ source, packages: await readPackages(source, join(hidden, 'downloads'), problems, options) });
  }
  const { chosen, conflicts, older, known, foreign } = await choosePackages(found, distros, haveSameContent);
  for (const [tag, count] of foreign)
    problems.push(`${count} for ${tag} left out: ${distros.join(', ')} ${distros.length === 1 ? 'is' : 'are'} wanted.`);
  if (known > 0) log.info(`${known} of sources with only-missing were left out: others have them.`);
  // Of a file that two sources have, the first one counts.
  const sourceOf = new Map(found.flatMap(({ packages }, at) => packages.map(({ path }) => [path, at] as const)).reverse());
  const repos: MergedRepo[] = [];
  const contents: RepoContents[] = [];
  let copied = 0;
  for (const [distro, files] of chosen) {
    options.onProgress?.(0.5 + (0.5 * repos.length) / chosen.size, distro);
    const made = await makeRepo({ into, hidden, distro, files }, signal);
    copied += made.copied;
    contents.push({ distro, folder: made.folder, packages: files.map((file) => ({ file, source: sourceOf.get(file.path) ?? 0 })) });
    repos.push({ distro, path: join(into, distro), packages: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) });
  }
  if (copied > 0)
    problems.push(`${formatBytes(copied)} were copied, because links from ${into} cannot lead to them (as to another file system).`);
  return { repos, conflicts, problems, older, copied, contents, known };
}

async function readPackages(
  source: MergeSource,
  downloads: string,
  problems: string[],
  { signal, log }: MergeOptions,
): Promise<readonly PackageFile[]> {
  const paths = await findPackages(source, { downloads, signal, log });
  if (paths.length === 0) problems.push(`${source.text} has no packages.`);
  const packages = await forEachLimit(paths, READERS, signal, async (path, inner) => {
    try {
      const one = path.endsWith('.rpm') ? await readRpm(path) : await readDeb(path, inner);
      if (one === undefined || isOrdinary(one)) return one;
      problems.push(`${path} is left out: its name or version has characters that packages may not have.`);
    } catch (error) {
      if (!(error instanceof NotAPackage)) throw error;
      problems.push(`${path} is left out: ${error.message}.`);
    }
    return undefined;
  });
  return packages.filter((one) => one !== undefined);
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
}

/** Makes the repository of a distribution aside, then lets its name lead there. Returns where to, and how many bytes were copied. */
async function makeRepo(
  { into, hidden, distro, files }: NewRepo,
  signal: AbortSignal | undefined,
): Promise<{ readonly folder: string; readonly copied: number }> {
  const place = join(into, distro);
  const name = `${distro}.${randomBytes(4).toString('hex')}`;
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
    if (kinds.has('rpm') || kinds.size === 0) await makeRpmMetadata(folder, metadata);
    if (kinds.has('deb') || kinds.size === 0) await makeDebMetadata(folder, metadata);
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
  const link = join(hidden, `link.${randomBytes(4).toString('hex')}`);
  await symlink(target, link);
  const present = await lstat(place).catch(() => undefined);
  const aside = present?.isDirectory() === true ? join(hidden, `old.${randomBytes(4).toString('hex')}`) : undefined;
  if (aside !== undefined) await rename(place, aside);
  await rename(link, place);
  return aside;
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
