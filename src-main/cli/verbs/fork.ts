import { EngineError } from '../../../src-shared/errors.ts';
import { MAX_FORKS } from '../../../src-shared/snapshot/timeline.ts';
import type { VerbContext } from '../context.ts';
import { listValue, textValue, type Values } from '../parser/table.ts';

/** `lago fork [SNAPSHOT] NAME [--count N]`. */
export async function fork(context: VerbContext): Promise<number> {
  const names = listValue(context.values, 'names') ?? [];
  const [name, snapshot, ...more] = [...names].reverse();
  if (name === undefined || more.length > 0) {
    throw new EngineError('input.usage', 'A fork needs a name, and may have a snapshot before it.', {
      hint: 'Use "lago fork NAME" or "lago fork SNAPSHOT NAME".',
    });
  }
  const count = countOf(context.values);
  const prefix = await context.prefix();
  await context.withEngine(async (engine) => {
    await context.follow((options) => engine.prefix.fork(prefix.path, { name, snapshot, count }, options));
  });
  return 0;
}

function countOf(values: Values): number | undefined {
  const text = textValue(values, 'count');
  if (text === undefined) return undefined;
  const count = Number(text);
  if (count >= 1 && count <= MAX_FORKS) return count;
  throw new EngineError('input.usage', `argument --count: ${text} is not a number from 1 to ${MAX_FORKS}.`);
}
