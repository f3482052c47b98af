import { EngineError } from '../../../src-shared/errors.ts';
import type { Changes } from '../../../src-shared/snapshot/changes.ts';
import { type VerbContext } from '../context.ts';
import { changesText, diffText } from '../output/changes-text.ts';
import { flagValue, listValue, textValue } from '../parser/table.ts';

/** `lago changes FROM [TO]`. */
export async function changes(context: VerbContext): Promise<number> {
  const { values, around } = context;
  const prefix = await context.prefix();
  const known = (await around.door.readSpecs(prefix.path)).vms.map(({ name }) => name);
  const vms = listValue(values, 'vm') ?? known;
  const points = { from: textValue(values, 'from') ?? '', to: textValue(values, 'to') ?? null };
  const path = textValue(values, 'diff');
  const [only, ...more] = vms;
  if (path !== undefined && (only === undefined || more.length > 0)) {
    throw new EngineError('input.usage', 'The text of a file is compared in one VM: say in which, with --vm.', {
      hint: `This environment has: ${known.join(', ')}.`,
    });
  }
  await context.withEngine(async (engine) => {
    const found: Changes[] = [];
    for (const vm of vms) found.push(await context.follow((options) => engine.snapshot.compare(prefix.path, { vm, ...points }, options)));
    if (path !== undefined && only !== undefined) {
      const diff = await engine.snapshot.changedText(prefix.path, { vm: only, ...points }, path, context.signal);
      if (context.format === 'default') context.print(diffText(path, diff));
      else context.printValue(diff);
      return;
    }
    const packagesOnly = flagValue(values, 'packages');
    if (context.format === 'default') context.print(found.map((one) => changesText(one, packagesOnly)).join('\n'));
    else context.printValue(Object.fromEntries(found.map((one) => [one.vm, packagesOnly ? { packages: one.packages } : one])));
  });
  return 0;
}
