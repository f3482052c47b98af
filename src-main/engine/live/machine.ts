import { mkdir, statfs } from 'node:fs/promises';
import { cpus } from 'node:os';
import type { MachineState } from '../../../src-shared/state.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { machineMemory } from '../core/memory.ts';

export interface MachineQuery {
  readonly resourcesDir: string;
  readonly workdir: string;
  readonly settings: EngineSettings;
  /** Reuses its checks; undefined runs them. */
  readonly previous: MachineState | undefined;
}

const MIB = 1024 * 1024;

/** The machine as shown in the status bar. Sizes are rounded to 64 MiB, so that small changes are not published. */
export async function readMachine(query: MachineQuery): Promise<MachineState> {
  const [memory, diskFree] = await Promise.all([machineMemory(), freeSpace(query.workdir)]);
  const rounded = (bytes: number): number => Math.floor(bytes / (64 * MIB)) * 64 * MIB;
  const shared = {
    memoryTotal: memory.total,
    memoryFree: rounded(memory.available),
    cpus: cpus().length,
    diskFree: rounded(diskFree),
  };
  if (query.previous !== undefined) return { ...query.previous, ...shared };
  const [{ checkMachine }, { findAccelerator }] = await Promise.all([import('../host/probe.ts'), import('../host/kvm.ts')]);
  const checks = await checkMachine({ resourcesDir: query.resourcesDir });
  return { checks: [...checks], accelerator: await findAccelerator(query.settings.accelerator), ...shared };
}

/** Bytes available to an ordinary user where new environments are created. */
async function freeSpace(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const info = await statfs(folder);
  return info.bavail * info.bsize;
}
