import { EngineError, exitCodeOf, toEngineError } from '../../src-shared/errors.ts';
import { settingKey } from '../../src-shared/settings.ts';
import { type Config, loadConfig, openPlugins, type PluginRegistry, pluginWarnings } from '../engine/index.ts';
import { type Surroundings, VerbContext, type VerbHandler } from './context.ts';
import { FORMATS } from './output/formats.ts';
import { parseArguments } from './parser/arguments.ts';
import { helpText, usageText } from './parser/help.ts';
import type { OptionSpec, ProgramSpec, Values, VerbSpec } from './parser/table.ts';
import { ownVerbs, program } from './program.ts';
import { type Level, TaskLog } from './task-log.ts';
import { plainVerbHandler } from './verbs/plain-verb.ts';

/** Loads a verb's code on demand, to keep `lago --help` and `lago status` fast. Plain verbs have no code of their own. */
const HANDLERS: Readonly<Record<string, () => Promise<VerbHandler>>> = {
  init: async () => (await import('./verbs/init.ts')).init,
  destroy: async () => (await import('./verbs/destroy.ts')).destroy,
  vm: async () => (await import('./verbs/vm.ts')).vm,
  status: async () => (await import('./verbs/information.ts')).status,
  list: async () => (await import('./verbs/information.ts')).list,
  'set-current': async () => (await import('./verbs/information.ts')).setCurrent,
  ansible_hosts: async () => (await import('./verbs/ansible.ts')).ansibleHosts,
  shell: async () => (await import('./verbs/shell.ts')).shell,
  'copy-to-vm': async () => (await import('./verbs/copy.ts')).copyToVm,
  'copy-from-vm': async () => (await import('./verbs/copy.ts')).copyFromVm,
  collect: async () => (await import('./verbs/collect.ts')).collect,
  console: async () => (await import('./verbs/console.ts')).openConsole,
  forward: async () => (await import('./verbs/forward.ts')).forward,
  snapshot: async () => (await import('./verbs/snapshots.ts')).snapshot,
  revert: async () => (await import('./verbs/revert.ts')).revert,
  validate: async () => (await import('./verbs/init-file.ts')).validate,
  plan: async () => (await import('./verbs/init-file.ts')).plan,
  templates: async () => (await import('./verbs/templates.ts')).templates,
  'template-repo': async () => (await import('./verbs/templates.ts')).templateRepo,
  repo: async () => (await import('./verbs/repo/repo.ts')).repo,
  changes: async () => (await import('./verbs/changes.ts')).changes,
  fork: async () => (await import('./verbs/fork.ts')).fork,
  export: async () => (await import('./verbs/export.ts')).exportPrefix,
  leases: async () => (await import('./verbs/leases.ts')).leases,
  'generate-config': async () => (await import('./verbs/generated.ts')).configFile,
  completion: async () => (await import('./verbs/generated.ts')).completion,
  man: async () => (await import('./verbs/generated.ts')).manual,
};

/** Runs one command line and returns the exit code. Every failure is reported on stderr. */
export async function runCommandLine(argv: readonly string[], around: Surroundings): Promise<number> {
  const early = makeLog(around, undefined, {});
  let config: Config;
  let plugins: PluginRegistry;
  try {
    config = await loadConfig({
      environment: around.environment,
      ...(around.configFiles === undefined ? {} : { files: around.configFiles }),
    });
    const { environment, cwd } = around;
    plugins = await openPlugins(config, { environment, cwd, builtIn: FORMATS, verbs: ownVerbs() });
  } catch (error) {
    const known = toEngineError(error);
    early.failure(known);
    return exitCodeOf(known.code);
  }
  const spec = program(around.version, plugins);
  const parsed = parseArguments(spec, argv);
  if (parsed.action !== 'run') tellProblems(makeLog(around, config, {}), config, plugins);
  switch (parsed.action) {
    case 'version':
      around.stdout.write(`lago ${around.version}\n`);
      return 0;
    case 'help':
      around.stdout.write(`${helpText(spec, parsed.verb, effectiveValue(config))}\n`);
      return 0;
    case 'no-verb':
      around.stdout.write(`${helpText(spec, undefined, effectiveValue(config))}\n`);
      return 1;
    case 'error': {
      const name = parsed.verb === undefined ? spec.name : `${spec.name} ${parsed.verb.name}`;
      around.stderr.write(`${usageText(spec, parsed.verb)}\n${name}: error: ${parsed.message}\n`);
      return 2;
    }
    case 'run':
      return await runVerb(spec, parsed.verb, parsed.global, parsed.values, config, plugins, around);
  }
}

async function runVerb(
  spec: ProgramSpec,
  verb: VerbSpec,
  global: Values,
  values: Values,
  files: Config,
  plugins: PluginRegistry,
  around: Surroundings,
): Promise<number> {
  const config = files.withCommandLine([...settingsOf(spec.options, global), ...settingsOf(verb.options, values)]);
  const log = makeLog(around, config, global);
  try {
    if (!config.flag('ignore_warnings')) for (const warning of config.warnings) log.message('warning', warning);
    tellProblems(log, config, plugins);
    if (global['prefix_path'] !== undefined && !config.flag('ignore_warnings')) {
      log.message('warning', '--prefix-path is deprecated, use --workdir and --prefix instead.');
    }
    const plugin = plugins.find('cli', verb.name);
    const handler =
      plugin === undefined
        ? (plainVerbHandler(verb.name) ?? (await HANDLERS[verb.name]?.()))
        : (await import('./plugin-verb.ts')).verbHandlerOf(plugin);
    if (handler === undefined) throw new EngineError('internal', `Nothing does the verb "${verb.name}".`);
    return await handler(new VerbContext(around, spec, config, values, log, plugins));
  } catch (error) {
    const known = toEngineError(error);
    log.progress(undefined);
    if (known.code === 'cancelled') log.message('warning', 'Cancelled.');
    else log.failure(known);
    return exitCodeOf(known.code);
  }
}

/** Reports each plugin that was not loaded, with the cause. */
function tellProblems(log: TaskLog, config: Config, plugins: PluginRegistry): void {
  if (config.flag('ignore_warnings')) return;
  for (const warning of pluginWarnings(plugins)) log.message('warning', warning);
}

/** The given options that have a key in lago.conf. */
function settingsOf(options: readonly OptionSpec[], values: Values): { section: string; key: string; value: string; option: string }[] {
  return options.flatMap((option) => {
    const value = values[option.name];
    if (option.config === undefined || value === undefined || typeof value === 'object') return [];
    return [
      {
        section: option.config,
        key: option.name,
        value: value === true ? 'true' : String(value),
        option: option.flags.at(-1) ?? option.name,
      },
    ];
  });
}

function effectiveValue(config: Config): (option: OptionSpec) => string | undefined {
  return (option) => {
    if (option.config === undefined || option.kind === 'flag') return undefined;
    const entry = config.entry(option.name, option.config);
    const secret = settingKey(option.name, option.config)?.secret === true && entry?.source.layer !== 'default';
    return secret && entry !== undefined ? `set in ${entry.source.place}` : entry?.value;
  };
}

function makeLog(around: Surroundings, config: Config | undefined, global: Values): TaskLog {
  const { stderr, environment } = around;
  const terminal = stderr.isTTY === true;
  const color = config?.get('color') ?? 'auto';
  const wanted =
    color === 'always' || (color === 'auto' && terminal && environment['NO_COLOR'] === undefined && environment['TERM'] !== 'dumb');
  return new TaskLog({
    write: (text) => void stderr.write(text),
    level: (config?.get('loglevel') ?? 'info') as Level,
    depth: config?.number('logdepth') ?? 3,
    color: wanted,
    format: (config?.get('log_format') ?? global['log_format']) === 'json' ? 'json' : 'text',
    terminal: terminal && environment['TERM'] !== 'dumb',
    ...(terminal ? { columns: stderr.columns } : {}),
  });
}
