import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { Log } from '../../core/log.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../../runtime/session.ts';

/** Until a guest has written to its disks what it holds in memory. */
const FREEZE_MS = 60_000;
/** An agent that has frozen its file systems answers at once. */
const THAW_MS = 20_000;

/** Says that guests may be frozen, for whoever has to take back the snapshot. */
function mark(prefix: Prefix, snapshot: string): string {
  return join(prefix.paths.snapshots, snapshot, 'quiesced');
}

/**
 * Lets the guests write everything to their disks and then hold back further writes, until `thaw`. `guest.unreachable` naming the VM whose
 * guest agent does not do that.
 */
export async function freeze(
  session: HostSession,
  prefix: Prefix,
  snapshot: string,
  vms: readonly VmSpec[],
  signal: AbortSignal,
): Promise<void> {
  await writeFile(mark(prefix, snapshot), '');
  await Promise.all(
    vms.map(async (vm) => {
      try {
        await ask(session, prefix, vm, 'guest-fsfreeze-freeze', { signal, timeoutMs: FREEZE_MS });
      } catch (error) {
        if (isCancelled(error)) throw error;
        throw new EngineError('guest.unreachable', `The guest of VM ${vm.name} cannot be quiesced: its guest agent does not do that.`, {
          cause: error,
          hint: 'Install and start qemu-guest-agent in the guest, or take the snapshot with memory, or without --quiesce.',
        });
      }
    }),
  );
}

/** Lets the guests write again, those also that never held back. */
export async function thaw(
  session: HostSession,
  prefix: Prefix,
  snapshot: string,
  vms: readonly VmSpec[],
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    vms.map(async (vm) => {
      try {
        await ask(session, prefix, vm, 'guest-fsfreeze-thaw', { signal, timeoutMs: THAW_MS });
      } catch (error) {
        if (!(error instanceof EngineError) || isCancelled(error)) throw error;
        log.warn(`The guest of VM ${vm.name} was not told that it may write again: ${error.message}`);
      }
    }),
  );
  await rm(mark(prefix, snapshot), { force: true });
}

/** Whether a snapshot that was interrupted may have left guests frozen. */
export function mayBeFrozen(prefix: Prefix, snapshot: string): boolean {
  return existsSync(mark(prefix, snapshot));
}

async function ask(
  { hypervisor }: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  execute: string,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<void> {
  await hypervisor.agentCommand(domainName(prefix.uuid, vm.name), JSON.stringify({ execute }), options);
}
