import { dirname } from 'node:path';
import type { Lease } from '../../engine/index.ts';
import type { VerbContext } from '../context.ts';
import { textValue } from '../parser/table.ts';

interface LeaseRow {
  readonly subnet: string;
  /** Path of the prefix that holds the lease; empty when the lease is damaged. */
  readonly prefix: string;
  readonly uuid: string;
  /** True when its environment is gone. */
  readonly stale: boolean;
}

function rowOf(lease: Lease): LeaseRow {
  return { subnet: lease.subnet, prefix: lease.uuidPath === '' ? '' : dirname(lease.uuidPath), uuid: lease.uuid, stale: !lease.valid };
}

function describe(row: LeaseRow): string {
  const owner = row.prefix === '' ? 'a damaged lease' : row.prefix;
  return `${row.subnet}/24 ${owner}${row.stale ? ' (stale: this environment is gone)' : ''}`;
}

/** `lago leases [list|free]`. */
export async function leases(context: VerbContext): Promise<number> {
  const { door } = context.around;
  const { leaseDir } = context.settings();
  const free = textValue(context.values, 'action') === 'free';
  const rows = (free ? await door.freeStaleLeases(leaseDir, context.signal) : await door.listLeases(leaseDir)).map(rowOf);
  if (context.format !== 'default') context.printValue(rows);
  else if (rows.length > 0) context.print(rows.map(describe).join('\n'));
  else context.log.message('info', free ? 'No stale leases.' : `No leases in ${leaseDir}.`);
  return 0;
}
