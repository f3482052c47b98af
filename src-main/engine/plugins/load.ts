import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkExports } from './check.ts';
import type { PluginSource } from './find.ts';
import { importModule } from './import-module.ts';
import type { LoadedSource } from './registry.ts';

/** A module that waits while loading must not block every command for ever. */
const LOAD_MS = 10_000;

/** Loads plugins in sequence. Never rejects: a load failure becomes a problem of its source, and the others are still loaded. */
export async function loadPluginSources(sources: readonly PluginSource[]): Promise<readonly LoadedSource[]> {
  const loaded: LoadedSource[] = [];
  for (const source of sources) {
    try {
      const exported = await withinTime(importModule(pathToFileURL(await moduleOf(source)).href));
      loaded.push({ source: source.source, ...checkExports(exported) });
    } catch (error) {
      loaded.push({ source: source.source, plugins: [], problems: [`it is left out: ${cause(error)}`] });
    }
  }
  return loaded;
}

/** One line about an error from a module; a syntax error's first stack line names the place. */
function cause(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}.`;
  const place = error instanceof SyntaxError ? /^(file:.+|\/.+):(\d+)$/m.exec(error.stack?.split('\n')[0] ?? '') : null;
  const where = place === null ? '' : ` (line ${place[2]})`;
  const name = error.name === 'Error' ? '' : `${error.name}: `;
  return `${name}${error.message.split('\n')[0] ?? ''}${where}`.replace(/([^.!?])$/, '$1.');
}

async function withinTime<T>(loading: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not finish loading within ${LOAD_MS / 1000} s`)), LOAD_MS);
  });
  try {
    return await Promise.race([loading, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The file to import. */
async function moduleOf(source: PluginSource): Promise<string> {
  const path = source.path ?? (await packageFolder(source.source, source.packageFrom ?? []));
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' || error.code === 'ENOTDIR' ? new Error(`there is nothing at ${path}`) : error;
  });
  return found.isDirectory() ? await entryOf(path) : path;
}

/** Searches like Node: `node_modules` of each folder and its parents, then packages installed beside Node itself. */
async function packageFolder(name: string, from: readonly string[]): Promise<string> {
  const candidates = from.flatMap((start) => ancestors(start).map((folder) => join(folder, 'node_modules', name)));
  candidates.push(join(dirname(process.execPath), '..', 'lib', 'node_modules', name));
  for (const candidate of candidates) if (await isFile(join(candidate, 'package.json'))) return candidate;
  throw new Error(`there is no package of this name; looked for ${candidates[0] ?? name} and further up`);
}

function ancestors(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...ancestors(parent)];
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** A folder's main module, from its package.json: `exports`, else `main`, else index.mjs or index.js. */
async function entryOf(folder: string): Promise<string> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new Error('the folder has no package.json') : error;
  });
  let manifest: { readonly exports?: unknown; readonly main?: unknown };
  try {
    manifest = JSON.parse(text) as typeof manifest;
  } catch (error) {
    throw new Error(`its package.json is wrong: ${(error as Error).message}`, { cause: error });
  }
  const named = exportOf(manifest.exports) ?? (typeof manifest.main === 'string' ? manifest.main : undefined);
  if (named !== undefined) return resolve(folder, named);
  for (const name of ['index.mjs', 'index.js']) if (await isFile(join(folder, name))) return join(folder, name);
  throw new Error('its package.json names no main module, and there is no index.mjs or index.js');
}

/** The root entry in `exports` of a package.json: a path, or the first of the conditions `node`, `import` and `default`. */
function exportOf(exports: unknown): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null) return undefined;
  const table = exports as Readonly<Record<string, unknown>>;
  for (const key of ['.', 'node', 'import', 'default']) {
    const found = exportOf(table[key]);
    if (found !== undefined) return found;
  }
  return undefined;
}
