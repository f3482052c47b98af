import { resolve } from 'node:path';
import type { Step } from '../core/operation.ts';
import { readPrefix, vmSpec } from '../prefix/prefix.ts';
import { visitGuest } from '../runtime/access.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { CopyRequest, CopyResult } from './copy-request.ts';
import { CopyProgress } from './progress.ts';
import { receive } from './receive.ts';
import { send } from './send.ts';
import { TRANSFER_KEEPALIVE_MS, type Transfer } from './transfer.ts';

/**
 * Copies a file or folder into a VM, or out of it, with `scp -r`'s rules for targets. Modes, times and symbolic links are kept. Takes no
 * lock; waits for ssh up to the VM's boot time. `vm.missing`, `vm.not-running`, `input.missing-file`, `guest.unreachable`, `guest.failed`
 * with what the guest said, `host.no-space`.
 */
export async function copy(
  context: RecipeContext,
  root: string,
  way: 'to' | 'from',
  request: CopyRequest,
  step: Step,
): Promise<CopyResult> {
  const prefix = await readPrefix(root);
  const vm = vmSpec(prefix, request.vm);
  return await step.step(way === 'to' ? `Copy to ${vm.name}` : `Copy from ${vm.name}`, async (one) => {
    const onWait = (message: string): void => one.progress(0, message);
    await using guest = await visitGuest(context, prefix, vm, { signal: one.signal, onWait, keepaliveMs: TRANSFER_KEEPALIVE_MS });
    const progress = new CopyProgress(one);
    const signal = AbortSignal.any([one.signal, guest.stopped]);
    const transfer: Transfer = { connection: guest.connection, signal, step: one, progress };
    const target =
      way === 'to'
        ? await send(transfer, localPath(request.local), request.remote)
        : await receive(transfer, request.remote, request.local);
    return { target, files: progress.files, bytes: progress.bytes };
  });
}

/** Absolute, but still ending with `/.` if it did: then the content is meant. */
function localPath(given: string): string {
  return /(^|\/)\.\.?\/*$/.test(given) ? `${resolve(given)}/.` : resolve(given);
}
