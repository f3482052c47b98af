import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { downloadText, openDownload } from '../../core/download/download.ts';
import { diskError } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import type { MergeSource } from './source.ts';

export interface FindOptions {
  /** Folder for what comes from addresses. */
  readonly downloads: string;
  readonly signal: AbortSignal | undefined;
  readonly log: Log;
}

const PACKAGE = /\.(rpm|deb)$/;
/** Beside the packages of a folder that is a repository. */
const INDEX = /(^|\/)repodata\/repomd\.xml$/;
const MAX_LISTED = 10_000;

/** Whether a path that was found is the index of a repository. */
export function isIndex(path: string): boolean {
  return INDEX.test(path);
}

/**
 * Paths of the package files of a source, sorted, and of the indexes (repodata/repomd.xml) of folders that are repositories. `input.missing-file` for a path that is not there; a folder or glob without packages has
 * none. Addresses are fetched: of a package, or of a page that has links to packages.
 */
export async function findPackages(source: MergeSource, options: FindOptions): Promise<readonly string[]> {
  if (source.isUrl) return await fetchPackages(source.place, options);
  if (/[*?[]/.test(source.place)) {
    const matches = await expandGlob(source.place);
    return (await Promise.all(matches.map(async (path) => await packagesAt(path, options.signal)))).flat();
  }
  if ((await statIfThere(source.place)) === undefined) {
    throw new EngineError('input.missing-file', `There is no file or folder ${source.place} with packages.`);
  }
  return await packagesAt(source.place, options.signal);
}

async function packagesAt(path: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
  signal?.throwIfAborted();
  const found = await statIfThere(path);
  if (found?.isDirectory() !== true) return found?.isFile() === true && (PACKAGE.test(path) || isIndex(path)) ? [path] : [];
  const entries = await readdir(path, { withFileTypes: true });
  const below = await Promise.all(
    entries
      .filter(({ name }) => !name.startsWith('.'))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      // A link to a folder may lead back to where it is; one to a package is as good as the package.
      .map(async (entry) => {
        const inner = join(path, entry.name);
        return entry.isDirectory() || PACKAGE.test(inner) || isIndex(inner) ? await packagesAt(inner, signal) : [];
      }),
  );
  return below.flat();
}

async function statIfThere(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw diskError(error, path);
  }
}

/** Paths that a pattern with `*`, `?` and `[...]` in its parts stands for, sorted; names that begin with a dot must be written so. */
async function expandGlob(pattern: string): Promise<readonly string[]> {
  let paths: readonly string[] = ['/'];
  for (const part of pattern.split('/').filter((name) => name !== '')) {
    if (!/[*?[]/.test(part)) {
      paths = paths.map((path) => join(path, part));
      continue;
    }
    const expression = partExpression(part);
    const next = await Promise.all(
      paths.map(async (path) => (await namesIn(path)).filter((name) => expression.test(name)).map((name) => join(path, name))),
    );
    paths = next.flat();
  }
  return paths;
}

async function namesIn(path: string): Promise<readonly string[]> {
  if ((await statIfThere(path))?.isDirectory() !== true) return [];
  return (await readdir(path)).sort();
}

function partExpression(part: string): RegExp {
  const text = part.replace(/\[!?[^\]]+\]|[\s\S]/g, (piece) => {
    if (piece === '*') return '.*';
    if (piece === '?') return '.';
    if (piece.length > 1) return piece.replace(/^\[!/, '[^').replace(/\\/g, '\\\\');
    return piece.replace(/[\\^$.|+(){}[\]]/, '\\$&');
  });
  return new RegExp(`^${part.startsWith('.') ? '' : '(?!\\.)'}${text}$`, 's');
}

async function fetchPackages(address: string, options: FindOptions): Promise<readonly string[]> {
  const url = new URL(address);
  if (PACKAGE.test(url.pathname)) return [await fetchPackage(url, options)];
  const page = await downloadText(url.href, { signal: options.signal, log: options.log });
  if (page === undefined) throw new EngineError('input.missing-file', `There is nothing at ${address}.`);
  const links = [...page.matchAll(/<a\s[^>]*?href\s*=\s*["']?([^"'\s>]+)/gi)].map(
    (match) => new URL((match[1] ?? '').replaceAll('&amp;', '&'), url),
  );
  // Only what lies below the page, as in a listing of a folder.
  const wanted = links.filter((link) => PACKAGE.test(link.pathname) && link.origin === url.origin);
  const unique = [...new Set(wanted.map(({ href }) => href))].slice(0, MAX_LISTED);
  const paths: string[] = [];
  for (const href of unique) paths.push(await fetchPackage(new URL(href), options));
  return paths;
}

async function fetchPackage(url: URL, { downloads, signal, log }: FindOptions): Promise<string> {
  const folder = join(downloads, createHash('sha256').update(url.href).digest('hex').slice(0, 16));
  const path = join(folder, basename(decodeURIComponent(url.pathname)));
  await mkdir(folder, { recursive: true });
  const download = await openDownload(url.href, { signal, log });
  if (download === undefined) throw new EngineError('input.missing-file', `There is no package at ${url.href}.`);
  log.info(`Fetching ${url.href}`);
  try {
    // Not under its own name: an earlier merge may have linked that file into a repository that is being served.
    const part = join(folder, '.part');
    await pipeline(download.content, createWriteStream(part), { signal: signal ?? new AbortController().signal });
    await rename(part, path);
  } catch (error) {
    throw diskError(error, path);
  }
  return path;
}
