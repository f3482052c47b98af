import { resolve } from 'node:path';
import type { VerbContext } from '../context.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/** `lago collect`: prints the directory on stdout. */
export async function collect(context: VerbContext): Promise<number> {
  const { values, around } = context;
  const prefix = await context.prefix();
  const output = textValue(values, 'output');
  const request = {
    vms: listValue(values, 'vms') ?? [],
    noSkip: flagValue(values, 'no_skip'),
    ...(output === undefined ? {} : { output: resolve(around.cwd, output) }),
  };
  const { folder } = await context.withEngine(
    async (engine) => await context.follow((options) => engine.prefix.collect(prefix.path, request, options)),
  );
  context.print(folder);
  return 0;
}
