import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { EngineError, toEngineError } from '../../../../src-shared/errors.ts';
import { diskError, readJson, writeJson } from '../../core/files/json-file.ts';
import type { Log } from '../../core/log.ts';
import type { HostLogs } from '../../host/host.ts';
import type { PrefixPaths } from '../../prefix/layout.ts';
import { LOCAL_LOGS, serialLogPath } from '../console/serial-log.ts';

const BootRecord = z.object({
  version: z.literal(1),
  /** ms since the epoch. */
  startedAt: z.number(),
  /** It continues from a snapshot with memory instead of booting. */
  continued: z.boolean(),
  /** Where the output of this start begins in the VM's serial log. */
  console: z.object({ inode: z.number(), offset: z.number() }),
});
export type BootRecord = z.infer<typeof BootRecord>;

/**
 * Notes that a VM is being started now, for everybody who later asks how far it is. To be called before QEMU prints anything. A note that
 * cannot be written (a full disk) keeps nothing from starting; it is logged.
 */
export async function noteStart(
  paths: PrefixPaths,
  vm: string,
  how: { readonly continued: boolean; readonly logs?: HostLogs | undefined },
  log: Log,
): Promise<void> {
  const { continued, logs = LOCAL_LOGS } = how;
  const console = (await logs.tail(serialLogPath(paths, vm), 0))?.end ?? { inode: 0, offset: 0 };
  const record: BootRecord = { version: 1, startedAt: Date.now(), continued, console };
  const path = paths.boot(vm);
  try {
    // One of an earlier start would mislead if this one could not be written.
    await rm(path, { force: true });
    await mkdir(dirname(path), { recursive: true });
    await writeJson(path, record);
  } catch (error) {
    log.warn(`How far VM ${vm} has booted will not be known: ${toEngineError(diskError(error, path)).message}`);
  }
}

/** The VM's last start; undefined when there is no record of it, or one that cannot be read: it only serves to explain. */
export async function readBootRecord(paths: PrefixPaths, vm: string): Promise<BootRecord | undefined> {
  try {
    return await readJson(paths.boot(vm), BootRecord);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'input.invalid') return undefined;
    throw error;
  }
}
