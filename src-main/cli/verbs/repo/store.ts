import { formatBytes } from '../../../../src-shared/bytes.ts';
import type { StoredRepo } from '../../../engine/index.ts';
import type { VerbContext } from '../../context.ts';
import { flagValue, listValue } from '../../parser/table.ts';

/** `lago repo list`. */
export async function list(context: VerbContext): Promise<number> {
  const stored = await context.withEngine(async (engine) => await engine.repos.stored());
  if (context.format !== 'default') context.printValue(stored);
  else if (stored.length === 0) context.log.message('info', 'The store has no package repository.');
  else context.print(stored.map(textOf).join('\n'));
  return 0;
}

/** `lago repo clean [NAME…]`. */
export async function clean(context: VerbContext): Promise<number> {
  const dryRun = flagValue(context.values, 'dry_run');
  const names = listValue(context.values, 'args') ?? [];
  const removed = await context.withEngine(async (engine) => await engine.repos.clean({ names, dryRun }, context.signal));
  if (context.format !== 'default') context.printValue(removed);
  else if (removed.length === 0) context.log.message('info', 'Nothing to remove: every package repository is used.');
  else
    context.print(removed.map(({ name, bytes }) => `${dryRun ? 'Would remove' : 'Removed'} ${name} (${formatBytes(bytes)}).`).join('\n'));
  return 0;
}

function textOf({ name, packages, bytes, syncedAt, users, path }: StoredRepo): string {
  const when = syncedAt === null ? 'not complete yet' : `synchronised ${new Date(syncedAt).toISOString()}`;
  const by = users.length === 0 ? 'not used' : `used by ${users.join(', ')}`;
  return `${name}: ${packages} packages, ${formatBytes(bytes)}; ${when}; ${by}; ${path}`;
}
