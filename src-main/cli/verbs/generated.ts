import { generateConfig } from '../../engine/index.ts';
import { bashCompletion, fishCompletion, zshCompletion } from '../completion.ts';
import type { VerbContext } from '../context.ts';
import { manualPage } from '../manual-page.ts';
import { flagValue, textValue } from '../parser/table.ts';

/** `lago generate-config`. */
export async function configFile(context: VerbContext): Promise<number> {
  context.print(generateConfig(context.config, { verbose: flagValue(context.values, 'verbose'), now: new Date() }));
  return 0;
}

/** `lago completion SHELL`. */
export async function completion(context: VerbContext): Promise<number> {
  const make =
    { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }[textValue(context.values, 'shell') ?? 'bash'] ?? bashCompletion;
  context.print(make(context.program));
  return 0;
}

/** `lago man`. */
export async function manual(context: VerbContext): Promise<number> {
  context.print(manualPage(context.program, new Date()));
  return 0;
}
