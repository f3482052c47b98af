import { readdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { ConfigValue } from '../configuration/config.ts';

/** Where a plugin should be: a file, a folder with package.json, or a package still to be located. */
export interface PluginSource {
  /** What the user wrote, or the path in the plugins folder. */
  readonly source: string;
  readonly path?: string;
  /** Folders whose `node_modules` may have the package, nearest first. */
  readonly packageFrom?: readonly string[];
}

export interface FindOptions {
  /** The value of `plugins` in the configuration, with its source. */
  readonly setting: ConfigValue | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** Base of relative paths in the environment variable; paths in a file are relative to that file. */
  readonly cwd: string;
}

/** The user's folder of plugins. */
export function pluginsFolder(environment: FindOptions['environment'], home: string): string {
  return join(environment['XDG_CONFIG_HOME'] || join(home, '.config'), 'lago', 'plugins');
}

/**
 * The plugins that the user chose: those named by `plugins` in lago.conf (or `LAGO_PLUGINS`), in order, then those in the plugins folder,
 * by name. Costs one look at a folder that usually does not exist. Packages are never searched for in the current folder, which may belong
 * to someone else.
 */
export async function findPluginSources(options: FindOptions): Promise<readonly PluginSource[]> {
  const folder = pluginsFolder(options.environment, options.home);
  const named = (options.setting?.value ?? '').split(/[\s,]+/).filter((word) => word !== '');
  const base = baseOf(options);
  const fromFile = options.setting?.source.layer === 'file';
  const chosen = named.map((word): PluginSource => {
    if (word.startsWith('~/')) return { source: word, path: join(options.home, word.slice(2)) };
    if (isAbsolute(word) || /^\.{1,2}(\/|$)/.test(word)) return { source: word, path: resolve(base, word) };
    return { source: word, packageFrom: fromFile ? [folder, base] : [folder] };
  });
  const entries = await entriesOf(folder);
  return [...chosen, ...entries.map((name) => ({ source: join(folder, name), path: join(folder, name) }))];
}

/** The folder of the lago.conf that names the plugins; its source is `FILE:LINE`. */
function baseOf({ setting, cwd }: FindOptions): string {
  return setting?.source.layer === 'file' ? dirname(setting.source.place.replace(/:\d+$/, '')) : cwd;
}

async function entriesOf(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.name.startsWith('.') && entry.name !== 'node_modules')
      .filter((entry) => (entry.isFile() ? /\.m?js$/.test(entry.name) : entry.isDirectory() || entry.isSymbolicLink()))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    // No such folder, or not readable: then it has no plugins.
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
