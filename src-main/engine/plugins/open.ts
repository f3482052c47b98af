import { homedir } from 'node:os';
import type { Config } from '../configuration/config.ts';
import { findPluginSources } from './find.ts';
import { createRegistry, type PluginRegistry, type RegistryOptions } from './registry.ts';

export interface OpenPluginsOptions extends RegistryOptions {
  /** Default `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default the current folder. */
  readonly cwd?: string;
}

/**
 * The built-in plugins and those that the user chose (see docs/plugins.md). Never rejects because of a plugin: `problems` describes its
 * faults, for the front door to show. If the user has no plugins, nothing is loaded.
 */
export async function openPlugins(config: Config, options: OpenPluginsOptions = {}): Promise<PluginRegistry> {
  const environment = options.environment ?? process.env;
  const home = environment['HOME'] ?? homedir();
  const sources = await findPluginSources({ setting: config.entry('plugins'), environment, home, cwd: options.cwd ?? process.cwd() });
  if (sources.length === 0) return createRegistry([], options);
  const { loadPluginSources } = await import('./load.ts');
  return createRegistry(await loadPluginSources(sources), options);
}

/** The problems of plugins, one sentence each. */
export function pluginWarnings(plugins: PluginRegistry): readonly string[] {
  return plugins.problems.map(({ source, message }) => `Plugin ${source}: ${message}`);
}
