import type { VerbContext } from '../context.ts';
import { textValue } from '../parser/table.ts';

/** `lago vm link VM NIC up|down`. */
export async function vm(context: VerbContext): Promise<number> {
  const prefix = await context.prefix();
  const request = {
    vm: textValue(context.values, 'host') ?? '',
    nic: textValue(context.values, 'nic') ?? '',
    link: textValue(context.values, 'link') === 'down' ? ('down' as const) : ('up' as const),
  };
  await context.withEngine(async (engine) => await context.follow((options) => engine.vm.setLink(prefix.path, request, options)));
  return 0;
}
