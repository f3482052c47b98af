import type { VerbContext } from '../context.ts';
import { revertText } from '../output/snapshot-text.ts';
import { flagValue, textValue } from '../parser/table.ts';

/** `lago revert NAME`, or what it would do. */
export async function revert(context: VerbContext): Promise<number> {
  const { values } = context;
  const name = textValue(values, 'snapshot_name') ?? '';
  const first = textValue(values, 'first');
  const { path } = await context.prefix();
  await context.withEngine(async (engine) => {
    if (flagValue(values, 'dry_run')) {
      const plan = await engine.snapshot.revertPlan(path, name);
      if (context.format !== 'default') context.printValue(plan);
      else for (const line of revertText(name, plan)) context.print(line);
    } else await context.follow((options) => engine.snapshot.revert(path, { name, ...(first === undefined ? {} : { first }) }, options));
  });
  return 0;
}
