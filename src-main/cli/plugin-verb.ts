import { EngineError, isCancelled } from '../../src-shared/errors.ts';
import { type CliPlugin, pluginTools, type VerbCall } from '../engine/index.ts';
import type { VerbContext, VerbHandler } from './context.ts';
import type { VerbSpec } from './parser/table.ts';

/** A plugin's verb as an entry of the verb table. */
export function verbSpecOf(plugin: CliPlugin): VerbSpec {
  const { name, summary, description, positionals = [], options = [], examples = [] } = plugin;
  return { name, summary, ...(description === undefined ? {} : { description }), positionals, options, examples };
}

/** Runs a plugin's verb. Errors of the engine, of `fail` and cancellations pass through; any other becomes `plugin.failed`. */
export function verbHandlerOf(plugin: CliPlugin): VerbHandler {
  return async (context) => {
    const code: unknown = await run(plugin, callOf(context));
    if (code === undefined) return 0;
    if (typeof code === 'number' && Number.isInteger(code) && code >= 0 && code <= 255) return code;
    throw new EngineError('plugin.failed', `The verb "${plugin.name}" answered ${JSON.stringify(code)}, which is not an exit code.`);
  };
}

async function run(plugin: CliPlugin, call: VerbCall): Promise<unknown> {
  try {
    return await plugin.run(call);
  } catch (error) {
    if (error instanceof EngineError || isCancelled(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new EngineError('plugin.failed', `The verb "${plugin.name}" failed: ${message}`, {
      cause: error,
      hint: 'This is a bug in its plugin.',
      details: { stack: error instanceof Error ? (error.stack ?? '') : '' },
    });
  }
}

function callOf(context: VerbContext): VerbCall {
  const { config, log } = context;
  return {
    values: context.values,
    config: { get: (key, section) => config.get(key, section), section: (name) => config.section(name) },
    signal: context.signal,
    cwd: context.around.cwd,
    format: context.format,
    log: {
      debug: (message) => log.message('debug', message),
      info: (message) => log.message('info', message),
      warn: (message) => log.message('warning', message),
      error: (message) => log.message('error', message),
    },
    print: (text) => context.print(text),
    printValue: (value) => context.printValue(value),
    environment: context.around.environment,
    program: { command: context.around.command, resources: context.around.resourcesDir },
    prefix: async () => await context.prefix(),
    specs: async (prefix) => await context.around.door.readSpecs(prefix),
    withEngine: async (work) => await context.withEngine(work),
    follow: async (begin) => await context.follow(begin),
    async task(label, work) {
      const { startOperation } = await pluginTools();
      return await context.follow((options) => startOperation({ ...options, kind: 'plugin', label }, async (step) => await work(step)));
    },
    run: async (argv, options) => await (await pluginTools()).run(argv, options),
    fail(message, hint) {
      throw new EngineError('input.usage', message, hint === undefined ? {} : { hint });
    },
  };
}
