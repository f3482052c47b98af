import { formatBytes } from '../../../../src-shared/bytes.ts';
import type { SyncResult } from '../../../engine/index.ts';
import type { VerbContext } from '../../context.ts';
import { flagValue } from '../../parser/table.ts';
import { environmentIfAny, repoRequest } from './request.ts';

/** `lago repo sync [FILE…]`. */
export async function sync(context: VerbContext): Promise<number> {
  const request = { ...repoRequest(context), verify: flagValue(context.values, 'verify') };
  const prefix = await environmentIfAny(context);
  const results = await context.withEngine(
    async (engine) => await context.follow((options) => engine.repos.sync(prefix, request, options)),
  );
  if (context.format !== 'default') context.printValue(results);
  else context.print(results.map(textOf).join('\n'));
  return 0;
}

function textOf({ id, packages, bytes, fetched, removed, path }: SyncResult): string {
  const changes = [
    ...(fetched.packages > 0 ? [`${fetched.packages} fetched (${formatBytes(fetched.bytes)})`] : []),
    ...(removed.length > 0 ? [`${removed.length} removed`] : []),
  ];
  const did = changes.length === 0 ? 'nothing new' : changes.join(', ');
  return `${id}: ${packages} packages, ${formatBytes(bytes)}; ${did}; ${path}`;
}
