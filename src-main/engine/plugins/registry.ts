import { EngineError } from '../../../src-shared/errors.ts';
import { BUILT_IN } from './built-in.ts';
import type { Plugin, PluginKind, PluginOf } from './contract.ts';

/** The checked plugins of one source, and its problems. */
export interface LoadedSource {
  /** Their source, for messages: a path or package name. */
  readonly source: string;
  readonly plugins: readonly Plugin[];
  readonly problems: readonly string[];
}

/** A plugin that was left out, and why; one sentence each. */
export interface PluginProblem {
  readonly source: string;
  readonly message: string;
}

/** All plugins, built-in ones first, and the problems of those left out. */
export interface PluginRegistry {
  readonly problems: readonly PluginProblem[];
  list<K extends PluginKind>(kind: K): readonly PluginOf<K>[];
  find<K extends PluginKind>(kind: K, name: string): PluginOf<K> | undefined;
  /** `input.invalid`, listing the known ones. `who` begins the sentence: "VM web". */
  need<K extends PluginKind>(kind: K, name: string, who: string): PluginOf<K>;
}

export interface RegistryOptions {
  /** The front door's plugins, treated as built-in. */
  readonly builtIn?: readonly Plugin[];
  /** Names of verbs that plugins may not take. */
  readonly verbs?: readonly string[];
}

const KIND_NAMES: Readonly<Record<PluginKind, string>> = {
  cli: 'verb',
  output: 'output format',
  vm: 'VM type',
  'vm-provider': 'VM provider',
  'vm-service': 'service provider',
};

/** Merges all sources. Of two plugins of one kind with the same name the first wins and the other is a problem. */
export function createRegistry(loaded: readonly LoadedSource[] = [], options: RegistryOptions = {}): PluginRegistry {
  const { builtIn = [], verbs = [] } = options;
  const problems: PluginProblem[] = [];
  const taken = new Map<string, { readonly plugin: Plugin | undefined; readonly source: string }>();
  const key = (kind: PluginKind, name: string): string => `${kind} ${name}`;
  for (const verb of verbs) taken.set(key('cli', verb), { plugin: undefined, source: 'Lago Desktop' });
  for (const plugin of [...BUILT_IN, ...builtIn]) taken.set(key(plugin.kind, plugin.name), { plugin, source: 'Lago Desktop' });
  for (const { source, plugins, problems: own } of loaded) {
    problems.push(...own.map((message) => ({ source, message })));
    for (const plugin of plugins) {
      const other = taken.get(key(plugin.kind, plugin.name));
      if (other === undefined) taken.set(key(plugin.kind, plugin.name), { plugin, source });
      else {
        const message = `its ${KIND_NAMES[plugin.kind]} "${plugin.name}" is left out: ${other.source} has one of that name.`;
        problems.push({ source, message });
      }
    }
  }
  const all = [...taken.values()].flatMap(({ plugin }) => plugin ?? []);
  const list = <K extends PluginKind>(kind: K): readonly PluginOf<K>[] =>
    all.filter((plugin): plugin is PluginOf<K> => plugin.kind === kind);
  const find = <K extends PluginKind>(kind: K, name: string): PluginOf<K> | undefined => list(kind).find((plugin) => plugin.name === name);
  return {
    problems,
    list,
    find,
    need(kind, name, who) {
      const found = find(kind, name);
      if (found !== undefined) return found;
      const names = list(kind).map((plugin) => plugin.name);
      throw new EngineError('input.invalid', `${who} needs the ${KIND_NAMES[kind]} "${name}", which no plugin offers.`, {
        hint: `Available: ${names.join(', ')}. Plugins are found through "plugins" in lago.conf and in ~/.config/lago/plugins.`,
      });
    },
  };
}
