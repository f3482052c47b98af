import { EngineError } from '../../../src-shared/errors.ts';
import type { VerbContext } from '../context.ts';
import { listValue } from '../parser/table.ts';

/** `lago fork [SNAPSHOT] NAME`. */
export async function fork(context: VerbContext): Promise<number> {
  const names = listValue(context.values, 'names') ?? [];
  const [name, snapshot, ...more] = [...names].reverse();
  if (name === undefined || more.length > 0) {
    throw new EngineError('input.usage', 'A fork needs a name, and may have a snapshot before it.', {
      hint: 'Use "lago fork NAME" or "lago fork SNAPSHOT NAME".',
    });
  }
  const prefix = await context.prefix();
  await context.withEngine(async (engine) => {
    await context.follow((options) => engine.prefix.fork(prefix.path, { name, snapshot }, options));
  });
  return 0;
}
