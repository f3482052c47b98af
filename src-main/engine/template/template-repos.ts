import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import { takeLock } from '../core/lock.ts';
import { run } from '../core/run.ts';
import { readRepositories } from './repository.ts';

export interface GitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with each line of git's output. */
  readonly onLine?: (line: string) => void;
}

/** Maximum depth below the folder at which clones are looked for. */
const DEPTH = 4;

/** No prompts, no hooks or other code from a repository, no transport that runs a command. */
const ENVIRONMENT = { GIT_TERMINAL_PROMPT: '0', GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh' };
const SAFE = ['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false'];

/** Runs git; `failed` builds the message from the last line of output. */
async function git(argv: readonly string[], options: GitOptions, failed: (lastLine: string) => string): Promise<string> {
  const command = ['git', ...SAFE, ...argv];
  try {
    const { code, stdout, stderr } = await run(command, {
      env: ENVIRONMENT,
      signal: options.signal,
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    });
    if (code === 0) return stdout.trim();
    const line = stderr.trim().split('\n').at(-1) ?? '';
    throw new EngineError('remote.unreachable', failed(line), {
      details: { command: command.join(' '), exit: code ?? 'killed', stderr: stderr.slice(-4000) },
      hint: 'Check the address and the network connection, then try again.',
    });
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'host.missing-tool') throw error;
    throw new EngineError('host.missing-tool', 'The program git is not installed, and template repositories are fetched with it.', {
      cause: error,
      hint: 'Install git, or give the path or URL of a repository JSON with --template-repo-path.',
    });
  }
}

function nameOf(url: string): string {
  const name =
    url
      .replace(/\/+$/, '')
      .replace(/\.git$/, '')
      .split(/[/:]/)
      .at(-1) ?? '';
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) && !url.startsWith('-')) return name;
  throw new EngineError('input.invalid', `${JSON.stringify(url)} is not the address of a git repository.`);
}

/**
 * Clones a git repository with repository JSON files below `folder`; returns its path. It appears there complete or not at all.
 * `input.invalid` for an invalid address, one that was added before, or a repository without a usable JSON file; `remote.unreachable` with
 * git's message; `host.missing-tool` without git, `host.denied`.
 */
export async function addRepository(url: string, folder: string, options: GitOptions = {}): Promise<string> {
  const path = join(folder, nameOf(url));
  if ((await stat(path).catch(() => undefined)) !== undefined) throw present(url, path);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw diskError(error, folder);
  }
  await removeHalfClones(folder);
  const temporary = join(folder, `.${randomBytes(4).toString('hex')}.clone`);
  // Marks the clone as in progress for as long as this process lives.
  await using _lock = await takeLock(`${temporary}.lock`, { signal: options.signal, waitMs: 10_000, purpose: 'template-repo add' });
  try {
    await git(['clone', '--quiet', '--', url, temporary], options, (line) => `Failed to clone the repository ${url}: ${line}`);
    const found = await readRepositories(temporary, { signal: options.signal });
    if (!found.some((one) => one.repository !== undefined)) {
      const first = found[0]?.problem?.message.replaceAll(temporary, url);
      throw new EngineError('input.invalid', `${url} holds no template repository.${first === undefined ? '' : ` ${first}`}`, {
        hint: 'It needs a .json file with name, sources and templates.',
      });
    }
    await moveTo(path, temporary, url);
    return path;
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await rm(`${temporary}.lock`, { force: true });
  }
}

async function moveTo(path: string, temporary: string, url: string): Promise<void> {
  try {
    await rename(temporary, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') throw present(url, path, error);
    throw diskError(error, path);
  }
}

function present(url: string, path: string, cause?: unknown): EngineError {
  return new EngineError('input.invalid', `Failed to clone the repository ${url}: ${path} is there already.`, {
    cause,
    hint: '"lago template-repo update" brings it to its newest state.',
  });
}

const HALF_CLONE = /^\.[0-9a-f]{8}\.clone(?:\.lock)?$/;

/** Removes clones left by killed processes. Those still in progress are left alone. */
async function removeHalfClones(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw diskError(error, folder);
  });
  const clones = new Set(names.filter((name) => HALF_CLONE.test(name)).map((name) => name.replace(/\.lock$/, '')));
  for (const clone of clones) {
    const path = join(folder, clone);
    try {
      await using _lock = await takeLock(`${path}.lock`, { purpose: 'template-repo add' });
      await rm(path, { recursive: true, force: true });
      await rm(`${path}.lock`, { force: true });
    } catch (error) {
      // Held: still in progress. Denied: it belongs to another user, who removes it.
      if (!(error instanceof EngineError) || (error.code !== 'conflict.locked' && error.code !== 'host.denied')) throw error;
    }
  }
}

/** The clones below `folder`, sorted. Removes leftovers of a killed `addRepository`. */
export async function findClones(folder: string): Promise<readonly string[]> {
  await removeHalfClones(folder);
  return await clonesBelow(folder, DEPTH);
}

async function clonesBelow(folder: string, depth: number): Promise<readonly string[]> {
  let entries: readonly { readonly name: string; isDirectory(): boolean }[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw diskError(error, folder);
  }
  if (entries.some((entry) => entry.name === '.git')) return [folder];
  if (depth === 0) return [];
  const inner = entries.filter((entry) => entry.isDirectory() && !entry.name.endsWith('.clone'));
  return (await Promise.all(inner.map(async (entry) => await clonesBelow(join(folder, entry.name), depth - 1)))).flat().sort();
}

/**
 * Resets a clone to the latest commit of its remote's default branch; local changes are lost. Returns the commit. `remote.unreachable`
 * ("Error running: ..."), `host.missing-tool`.
 */
export async function updateRepository(path: string, options: GitOptions = {}): Promise<string> {
  const inClone = async (...argv: readonly string[]): Promise<string> =>
    await git(['-C', path, ...argv], options, (line) => `Error running: git ${argv.join(' ')} in ${path}: ${line}`);
  await inClone('fetch', '--quiet', '--prune', 'origin');
  await inClone('remote', 'set-head', 'origin', '--auto');
  await inClone('reset', '--quiet', '--hard', 'origin/HEAD');
  return await inClone('rev-parse', 'HEAD');
}
