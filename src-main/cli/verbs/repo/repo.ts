import { EngineError } from '../../../../src-shared/errors.ts';
import type { VerbContext, VerbHandler } from '../../context.ts';
import { textValue } from '../../parser/table.ts';
import { REPO_ACTIONS, REPO_VERB } from './spec.ts';

const HANDLERS: Readonly<Record<string, () => Promise<VerbHandler>>> = {
  merge: async () => (await import('./merge.ts')).merge,
  serve: async () => (await import('./serve.ts')).serve,
  log: async () => (await import('./log.ts')).log,
  explain: async () => (await import('./explain.ts')).explain,
  sync: async () => (await import('./sync.ts')).sync,
  list: async () => (await import('./store.ts')).list,
  clean: async () => (await import('./store.ts')).clean,
};

/** `lago repo ACTION …` */
export async function repo(context: VerbContext): Promise<number> {
  const name = textValue(context.values, 'action') ?? '';
  const action = REPO_ACTIONS.find((one) => one.name === name);
  const handler = await HANDLERS[name]?.();
  if (action === undefined || handler === undefined) throw usage(`There is no "lago repo ${name}".`);
  const own = new Set(action.options.map((option) => option.name));
  const foreign = REPO_VERB.options.filter((option) => !own.has(option.name) && context.values[option.name] !== undefined);
  if (foreign.length > 0) {
    const flags = foreign.map((option) => option.flags.at(-1)).join(', ');
    throw usage(`"lago repo ${name}" does not take ${flags}.`);
  }
  return await handler(context);
}

function usage(message: string): EngineError {
  return new EngineError('input.usage', message, { hint: '"lago repo --help" shows examples.' });
}
