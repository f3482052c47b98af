import { EngineError } from '../../../src-shared/errors.ts';
import type { VerbContext } from '../context.ts';
import { flagValue, textValue } from '../parser/table.ts';

export async function snapshot(context: VerbContext): Promise<number> {
  const name = textValue(context.values, 'snapshot_name');
  const list = flagValue(context.values, 'list');
  const remove = flagValue(context.values, 'delete');
  if (list && remove) throw new EngineError('input.usage', 'Snapshots can be listed or deleted, not both at once.');
  if (!list && (name === undefined || name === '')) {
    throw new EngineError('input.usage', 'No snapshot name provided', { hint: 'Use "lago snapshot NAME", or "lago snapshot --list".' });
  }
  const prefix = await context.prefix();
  await context.withEngine(async (engine) => {
    if (list) context.printValue(await engine.snapshot.list(prefix.path));
    else if (remove) await context.follow((options) => engine.snapshot.remove(prefix.path, { name: name ?? '' }, options));
    else await context.follow((options) => engine.snapshot.create(prefix.path, { name: name ?? '' }, options));
  });
  return 0;
}
