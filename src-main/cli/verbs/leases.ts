import type { LeaseInfo, VerbContext } from '../context.ts';
import { textValue } from '../parser/table.ts';

function describe(lease: LeaseInfo): string {
  return `${lease.subnet} ${lease.prefix}${lease.valid ? '' : ' (stale: this environment is gone)'}`;
}

/** `lago leases [list|free]`. */
export async function leases(context: VerbContext): Promise<number> {
  const { door } = context.around;
  const { leaseDir } = context.settings();
  const free = textValue(context.values, 'action') === 'free';
  const found = free ? await door.freeStaleLeases(leaseDir, context.signal) : await door.listLeases(leaseDir);
  if (context.format !== 'default') context.printValue(found);
  else if (found.length > 0) context.print(found.map(describe).join('\n'));
  if (context.format === 'default' && found.length === 0)
    context.log.message('info', free ? 'No stale leases.' : `No leases in ${leaseDir}.`);
  return 0;
}
