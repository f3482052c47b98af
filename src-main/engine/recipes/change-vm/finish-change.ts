import { writeJson } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import { withoutStaleNames } from '../../plan/nic-names.ts';
import { type Prefix, readSpecs } from '../../prefix/prefix.ts';
import { matchVm } from '../../runtime/changes/match-domain.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { sweepAddedImages } from '../../snapshot/added-images.ts';

/**
 * Completes a change whose definition is written, or forgets one whose definition is not: the networks lose names of cards that no VM has,
 * the VMs that run get what their definitions say, and images that no definition names are removed. Can be repeated. Returns sentences
 * about what has to wait for a VM's next start.
 */
export async function finishChange(
  context: RecipeContext,
  prefix: Prefix,
  vms: readonly string[],
  how: { readonly signal: AbortSignal; readonly log: Log },
): Promise<readonly string[]> {
  const written = await readSpecs(prefix.paths);
  const nets = withoutStaleNames(written);
  for (const net of nets) if (!written.nets.includes(net)) await writeJson(prefix.paths.net(net.name), net);
  const now: Prefix = { ...prefix, specs: { ...written, nets } };
  const session = await context.hosts.find(now, how.signal);
  const notes: string[] = [];
  if (session !== undefined) {
    for (const vm of now.specs.vms.filter(({ name }) => vms.includes(name))) notes.push(...(await matchVm(session, now, vm, how)));
  }
  await sweepAddedImages(now);
  return notes;
}
