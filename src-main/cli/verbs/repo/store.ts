import { formatBytes } from '../../../../src-shared/bytes.ts';
import type { StoredRepo } from '../../../engine/index.ts';
import type { VerbContext } from '../../context.ts';
import { flagValue, listValue } from '../../parser/table.ts';

/** `lago repo list`. */
export async function list(context: VerbContext): Promise<number> {
  const stored = await context.withEngine(async (engine) => await engine.repos.stored());
  if (context.format !== 'default') context.printValue(stored.map(valueOf));
  else if (stored.length === 0) context.log.message('info', 'The store has no package repository.');
  else context.print(stored.map(textOf).join('\n'));
  return 0;
}

/** `lago repo clean [NAME…]`. */
export async function clean(context: VerbContext): Promise<number> {
  const dryRun = flagValue(context.values, 'dry_run');
  const names = listValue(context.values, 'args') ?? [];
  const removed = await context.withEngine(async (engine) => await engine.repos.clean({ names, dryRun }, context.signal));
  if (context.format !== 'default') context.printValue(removed.map(valueOf));
  else if (removed.length === 0) context.log.message('info', 'Nothing to remove: every package repository is used.');
  else
    context.print(removed.map(({ name, bytes }) => `${dryRun ? 'Would remove' : 'Removed'} ${name} (${formatBytes(bytes)}).`).join('\n'));
  return 0;
}

/** For programs: which packages last came and went, and why the last synchronisation failed. */
function valueOf({ lastSync, holder: _holder, ...repo }: StoredRepo) {
  return {
    ...repo,
    added: lastSync?.change?.added.names ?? [],
    removed: lastSync?.change?.removed.names ?? [],
    error: lastSync?.ended?.error?.message ?? null,
  };
}

function textOf({ name, packages, bytes, syncedAt, users, path, lastSync }: StoredRepo): string {
  const when = syncedAt === null ? 'not complete yet' : `synchronised ${new Date(syncedAt).toISOString()}`;
  const by = users.length === 0 ? 'not used' : `used by ${users.join(', ')}`;
  const change = lastSync?.change ?? null;
  const changes =
    change === null ? [] : [`${change.added.count} new and ${change.removed.count} gone ${new Date(change.at).toISOString()}`];
  const error = lastSync?.ended?.error ?? null;
  const failed = error === null ? [] : [`failed last: ${error.message}`];
  return `${name}: ${[`${packages} packages, ${formatBytes(bytes)}`, when, ...changes, by, path, ...failed].join('; ')}`;
}
