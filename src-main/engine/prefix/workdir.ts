import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readlink, realpath, rename, rm, rmdir, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/disk-error.ts';
import { readTextFile } from '../core/files/text-file.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';
import type { PrefixLocation } from './location.ts';
import { hasMark, isHalfMade, isRemovable } from './remains.ts';

const CURRENT = 'current';
const DEFAULT_NAME = 'default';
/** Name of the workdir searched for in a directory. */
const WORKDIR_NAME = '.lago';
/** Held while creating a prefix in a workdir, or removing the workdir. */
const LOCK_NAME = '.lago-desktop.lock';
const LOCK_MS = 30_000;
/** Temporary name of a new `current`; a killed process may leave one. */
const TEMPORARY_LINK = /^\.current\.[0-9a-f]+\.tmp$/;

async function kindOf(path: string): Promise<'directory' | 'link' | 'other' | 'none'> {
  try {
    const found = await lstat(path);
    if (found.isSymbolicLink()) return 'link';
    return found.isDirectory() ? 'directory' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'none';
    throw diskError(error, path);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'EACCES') return false;
    throw diskError(error, path);
  }
}

/**
 * Whether a folder is a prefix made by Lago (any version) or by us: it has the marker `initialized`, or what remains after a cleanup
 * (`uuid` beside `virt`).
 */
export async function isPrefix(path: string): Promise<boolean> {
  if ((await kindOf(join(path, 'initialized'))) !== 'none') return true;
  return (await kindOf(join(path, 'uuid'))) === 'other' && (await kindOf(join(path, 'virt'))) === 'directory';
}

/** A prefix, or what a killed `init` left of one or of the link `current`. */
async function isOurs(workdir: string, name: string): Promise<boolean> {
  if (name === LOCK_NAME || TEMPORARY_LINK.test(name)) return true;
  const path = join(workdir, name);
  return (await kindOf(path)) === 'directory' && ((await isPrefix(path)) || (await isHalfMade(path)));
}

/** Whether a folder is a workdir: it contains the link `current`. */
export async function isWorkdir(path: string): Promise<boolean> {
  return (await kindOf(join(path, CURRENT))) === 'link';
}

/** The prefix name that `init` uses: an empty name and `current` mean `default`. `input.usage` for an impossible name. */
export function newPrefixName(given: string | undefined): string {
  const name = given === undefined || given === '' || given === CURRENT ? DEFAULT_NAME : given;
  if (/^[^./-][^/\0]*$/.test(name)) return name;
  throw new EngineError('input.usage', `"${name}" cannot be the name of a prefix.`, {
    hint: 'It becomes a folder name: no slash, and it must not begin with a dot or a dash.',
  });
}

/** What a prefix folder tells about itself without being opened. */
export interface PrefixMarker {
  readonly uuid: string | null;
  /** False after a cleanup, and during creation. */
  readonly initialized: boolean;
  /** Version that made it; null when unknown (Lago before 0.37). */
  readonly lagoVersion: string | null;
}

/** Reads the marker files of a prefix of any Lago version. Missing or damaged ones give nulls. */
export async function readMarker(path: string): Promise<PrefixMarker> {
  const [uuid, metadata, initialized] = await Promise.all([
    readTextFile(join(path, 'uuid')),
    readTextFile(join(path, 'metadata')),
    kindOf(join(path, 'initialized')),
  ]);
  const version = /"lago_version"\s*:\s*"([^"]+)"/.exec(metadata ?? '')?.[1];
  return { uuid: uuid || null, initialized: initialized !== 'none', lagoVersion: version ?? null };
}

/**
 * A directory of prefixes, one sub-directory each, and the relative link `current` to one of them. Reading never needs write access; a
 * broken `current` is repaired if the disk is writable.
 */
export class Workdir {
  /** Absolute. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Opens a workdir. `workdir.missing` when there is none at exactly this path, `workdir.malformed` when `current` is not a link. */
  static async load(path: string): Promise<Workdir> {
    const absolute = resolve(path);
    if (!(await isDirectory(absolute))) throw new EngineError('workdir.missing', `Unable to find workdir in ${absolute}`);
    const current = join(absolute, CURRENT);
    const kind = await kindOf(current);
    if (kind === 'none') {
      const empty = (await readdir(absolute)).length === 0;
      throw new EngineError('workdir.malformed', empty ? `Empty dir ${absolute}` : `"${current}" should exist and be a soft link`);
    }
    if (kind !== 'link') throw new EngineError('workdir.malformed', `"${current}" should be a soft link`);
    return new Workdir(absolute);
  }

  /**
   * Opens the workdir, or creates it. An existing empty directory becomes a workdir too, and so does one with only prefixes in it (the
   * first `init` was killed before it created the link). One with other content is `workdir.malformed`, so that nothing is mixed into a
   * foreign directory. In a new one `current` points to `first` at once, before that prefix exists, so that a workdir with any content can
   * be found.
   */
  static async loadOrCreate(path: string, first?: string): Promise<Workdir> {
    const absolute = resolve(path);
    try {
      await mkdir(absolute, { recursive: true });
    } catch (error) {
      throw diskError(error, absolute);
    }
    const names = await readdir(absolute);
    const ours = await Promise.all(names.map(async (name) => await isOurs(absolute, name)));
    if (names.includes(CURRENT) || !ours.every(Boolean)) return await Workdir.load(absolute);
    const workdir = new Workdir(absolute);
    if (first !== undefined) await workdir.#link(first);
    return workdir;
  }

  /** Held while a new prefix takes `name`. Recreates a workdir that was removed meanwhile, with `current` pointing to `name`. */
  async lockNames(name: string, signal?: AbortSignal): Promise<HeldLock> {
    const options = { purpose: 'init', waitMs: LOCK_MS, signal };
    try {
      return await takeLock(join(this.path, LOCK_NAME), options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await Workdir.loadOrCreate(this.path, name);
      return await takeLock(join(this.path, LOCK_NAME), options);
    }
  }

  prefixPath(name: string): string {
    return join(this.path, name);
  }

  /** Names of all prefixes, sorted. Sub-directories beginning with a dot are never prefixes. */
  async list(): Promise<string[]> {
    let names: string[];
    try {
      names = await readdir(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw diskError(error, this.path);
    }
    const found = await Promise.all(
      names
        .filter((name) => name !== CURRENT && !name.startsWith('.'))
        .map(async (name) => ((await isDirectory(this.prefixPath(name))) ? [name] : [])),
    );
    return found.flat().sort();
  }

  /** False for one of the user's own folders among the prefixes: nothing in it was made by Lago. */
  async holdsPrefix(name: string): Promise<boolean> {
    return await isRemovable(this.prefixPath(name));
  }

  async has(name: string): Promise<boolean> {
    return (await this.list()).includes(name);
  }

  /** `prefix.exists` when the name is taken, except by leftovers of an interrupted command. */
  async requireFree(name: string): Promise<void> {
    if (!(await this.has(name)) || (await isHalfMade(this.prefixPath(name)))) return;
    throw new EngineError('prefix.exists', `Prefix with name ${name} already exists in workdir ${this.path}`, {
      hint: 'Specify a different prefix name (--prefix-name) or remove it (lago destroy).',
    });
  }

  /** The current prefix: the link's target; if that is gone `default`, else the last by name; undefined without any prefix. */
  async current(): Promise<string | undefined> {
    const names = await this.list();
    const target = await this.#target();
    if (target !== undefined && names.includes(target)) return target;
    return names.includes(DEFAULT_NAME) ? DEFAULT_NAME : names.at(-1);
  }

  async #target(): Promise<string | undefined> {
    try {
      const target = await readlink(join(this.path, CURRENT));
      // Lago writes the bare name; an absolute target or a trailing slash, made by hand, means the same.
      return dirname(resolve(this.path, target)) === this.path ? basename(resolve(this.path, target)) : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw diskError(error, join(this.path, CURRENT));
    }
  }

  /** Finds a prefix by name; `current` (or nothing) is the current one. `prefix.missing` listing the existing ones. */
  async find(name: string | undefined): Promise<{ readonly name: string; readonly path: string }> {
    const names = await this.list();
    const wanted = name === undefined || name === '' || name === CURRENT ? await this.current() : name;
    if (wanted === undefined) {
      throw new EngineError('prefix.missing', `There is no prefix in workdir ${this.path}`, { hint: 'Make one with "lago init".' });
    }
    if (names.includes(wanted)) return { name: wanted, path: this.prefixPath(wanted) };
    throw new EngineError('prefix.missing', `Unable to find prefix "${wanted}" in workdir ${this.path}`, {
      hint: names.length === 0 ? 'It has no prefix.' : `It has: ${names.join(', ')}.`,
    });
  }

  /** Moves the link, atomically. `prefix.missing` when the prefix does not exist. */
  async setCurrent(name: string): Promise<void> {
    if (!(await this.has(name))) {
      const names = await this.list();
      throw new EngineError('prefix.missing', `Prefix "${name}" does not exist in workdir ${this.path}`, {
        hint: names.length === 0 ? 'It has no prefix.' : `It has: ${names.join(', ')}.`,
      });
    }
    await this.#link(name);
  }

  async #link(name: string): Promise<void> {
    const temporary = join(this.path, `.${CURRENT}.${randomBytes(4).toString('hex')}.tmp`);
    try {
      await rm(temporary, { force: true });
      await symlink(name, temporary);
      await rename(temporary, join(this.path, CURRENT));
    } catch (error) {
      await rm(temporary, { force: true });
      throw diskError(error, join(this.path, CURRENT));
    }
  }

  /** Call after creating a prefix: the first one becomes current, a later one only on request. */
  async added(name: string, setCurrent: boolean): Promise<void> {
    const target = await this.#target();
    if (setCurrent || target === undefined || !(await this.has(target))) await this.setCurrent(name);
  }

  /**
   * Call after prefixes were removed or could not be created: points `current` at a remaining prefix, and removes the workdir when it is
   * empty. Returns whether the workdir still exists. Idempotent.
   */
  async repair(): Promise<boolean> {
    const current = await this.current();
    if (current !== undefined) {
      if ((await this.#target()) !== current) await this.#link(current);
      return true;
    }
    await using _lock = await this.#lockForRemoval();
    // Another process may have begun one before we got the lock.
    if ((await this.current()) !== undefined) return true;
    try {
      for (const name of await readdir(this.path)) {
        if (name === CURRENT || TEMPORARY_LINK.test(name)) await rm(join(this.path, name), { force: true });
      }
      await rm(join(this.path, LOCK_NAME), { force: true });
      await rmdir(this.path);
      return false;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return false;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return true; // contains the user's own files: not ours to remove
      throw diskError(error, this.path);
    }
  }

  /** Undefined when there is nothing to lock, or no space for a lock: freeing space must not fail. */
  async #lockForRemoval(): Promise<HeldLock | undefined> {
    try {
      return await takeLock(join(this.path, LOCK_NAME), { purpose: 'remove the workdir', waitMs: LOCK_MS });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      if (error instanceof EngineError && error.code === 'host.no-space') return undefined;
      throw error;
    }
  }
}

export interface ResolveRequest {
  readonly cwd: string;
  /** `--prefix-path`: a prefix, or a directory whose `.lago` is one. */
  readonly prefixPath?: string | undefined;
  /** `--workdir-path`: exactly a workdir; parents are not searched. */
  readonly workdirPath?: string | undefined;
  /** `--prefix-name`. */
  readonly prefixName?: string | undefined;
}

/**
 * Finds the prefix that a command refers to. An explicit path must match exactly; without one the prefix around the current directory wins,
 * then the nearest workdir (`DIR` itself, `DIR/.lago`) from the current directory upwards. Returned paths have no links. `prefix.missing`,
 * `workdir.missing`, `workdir.malformed`.
 */
export async function resolvePrefix(request: ResolveRequest): Promise<PrefixLocation> {
  const name = request.prefixName === CURRENT ? undefined : request.prefixName;
  if (request.prefixPath !== undefined) {
    const start = resolve(request.cwd, request.prefixPath);
    for (const path of [start, join(start, WORKDIR_NAME)]) {
      if ((await isPrefix(path)) || (await hasMark(path))) return await locationOf(path);
    }
    throw new EngineError('prefix.missing', `Unable to find prefix for ${start}`, {
      hint: (await isWorkdir(start))
        ? 'It is a workdir: use --workdir-path.'
        : 'Give the path of a prefix, or use --workdir-path and --prefix-name.',
    });
  }
  if (request.workdirPath === undefined && name === undefined) {
    const around = await prefixAround(request.cwd);
    if (around !== undefined) return await locationOf(around);
  }
  const workdir = await resolveWorkdir(request);
  const found = await workdir.find(name);
  return { path: await realpath(found.path), name: found.name, workdir: await realpath(workdir.path) };
}

/** The workdir that a command refers to, as `resolvePrefix` finds it. `workdir.missing` lists workdirs nearby. */
export async function resolveWorkdir(request: Pick<ResolveRequest, 'cwd' | 'workdirPath'>): Promise<Workdir> {
  if (request.workdirPath !== undefined) {
    const start = resolve(request.cwd, request.workdirPath);
    if (await isWorkdir(start)) return await Workdir.load(start);
    if ((await kindOf(join(start, CURRENT))) !== 'none') return await Workdir.load(start);
    throw await missingWorkdir(start);
  }
  for (const dir of upwards(request.cwd)) {
    if (await isWorkdir(dir)) return await Workdir.load(dir);
    if (await isWorkdir(join(dir, WORKDIR_NAME))) return await Workdir.load(join(dir, WORKDIR_NAME));
  }
  throw await missingWorkdir(resolve(request.cwd));
}

function* upwards(start: string): Generator<string> {
  for (let dir = resolve(start); ; dir = dirname(dir)) {
    yield dir;
    if (dir === dirname(dir)) return;
  }
}

/** The prefix at or above a directory; undefined when a workdir or the root comes first. */
async function prefixAround(cwd: string): Promise<string | undefined> {
  for (const dir of upwards(cwd)) {
    if (await isPrefix(dir)) return dir;
    if ((await isWorkdir(dir)) || (await isWorkdir(join(dir, WORKDIR_NAME)))) return undefined;
    if (await isPrefix(join(dir, WORKDIR_NAME))) return join(dir, WORKDIR_NAME);
  }
  return undefined;
}

async function locationOf(path: string): Promise<PrefixLocation> {
  const real = await realpath(path);
  const parent = dirname(real);
  return { path: real, name: basename(real), workdir: (await isWorkdir(parent)) ? parent : null };
}

async function missingWorkdir(start: string): Promise<EngineError> {
  const children = (await isDirectory(start)) ? await readdir(start) : [];
  const candidates = [start, ...children.map((name) => join(start, name))].flatMap((dir) => [dir, join(dir, WORKDIR_NAME)]);
  const possible: string[] = [];
  for (const dir of [...new Set(candidates)]) if (await isWorkdir(dir)) possible.push(dir);
  const found = possible.length === 0 ? '' : `\nFound possible workdirs in: ${possible.join(', ')}`;
  return new EngineError('workdir.missing', `Unable to find workdir in ${start}${found}`, {
    hint:
      possible.length === 0
        ? 'Make an environment with "lago init", or name its workdir with --workdir-path.'
        : `Use one of them: --workdir-path ${possible[0]}`,
  });
}

/** Call after the prefix at this path was removed: repairs `current` of its workdir, and removes the workdir after its last prefix. */
export async function prefixRemoved(path: string): Promise<void> {
  const workdir = dirname(path);
  if (await isWorkdir(workdir)) await (await Workdir.load(workdir)).repair();
}

/** The prefixes at a path: the path itself, those of the workdir there, or those of its `.lago`. `prefix.missing` when there is none. */
export async function findPrefixes(path: string): Promise<readonly string[]> {
  for (const candidate of [path, join(path, WORKDIR_NAME)]) {
    if (await isPrefix(candidate)) return [await realpath(candidate)];
    if (await isWorkdir(candidate)) {
      const workdir = await Workdir.load(candidate);
      return await Promise.all((await workdir.list()).map(async (name) => await realpath(workdir.prefixPath(name))));
    }
  }
  throw new EngineError('prefix.missing', `There is no environment at ${path}.`, {
    hint: 'Choose the folder of a prefix or of a workdir.',
  });
}
