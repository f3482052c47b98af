import type { EngineSettings } from './configuration/settings.ts';
import type { Log } from './core/log.ts';
import type { PluginRegistry } from './plugins/registry.ts';

export interface EngineOptions {
  readonly settings: EngineSettings;
  /** The project's `resources` folder (or its packaged copy). */
  readonly resourcesDir: string;
  /** Per-user data: list of known environments, caches. Default `$XDG_DATA_HOME/lago`. */
  readonly dataDir?: string;
  /** Default workdir of environments created in the window. */
  readonly workdir?: string;
  readonly log: Log;
  /** Default: the built-in ones; see `openPlugins`. */
  readonly plugins?: PluginRegistry;
}
