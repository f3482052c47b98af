import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { readJson, writeJson } from '../../core/json-file.ts';
import type { PrefixPaths } from '../../prefix/layout.ts';
import { type LogPosition, serialLogPath } from '../console/serial-log.ts';

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

/** Notes that a VM is being started now, for everybody who later asks how far it is. To be called before QEMU prints anything. */
export async function noteStart(paths: PrefixPaths, vm: string, how: { readonly continued: boolean }): Promise<void> {
  const record: BootRecord = { version: 1, startedAt: Date.now(), ...how, console: await endOf(serialLogPath(paths, vm)) };
  await mkdir(dirname(paths.boot(vm)), { recursive: true });
  await writeJson(paths.boot(vm), record);
}

/** The VM's last start; undefined when it was never started, or by a version that kept no record. */
export async function readBootRecord(paths: PrefixPaths, vm: string): Promise<BootRecord | undefined> {
  return await readJson(paths.boot(vm), BootRecord);
}

async function endOf(path: string): Promise<LogPosition> {
  try {
    const { ino, size } = await stat(path);
    return { inode: ino, offset: size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { inode: 0, offset: 0 };
    throw error;
  }
}
