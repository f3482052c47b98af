import { mkdir, readFile, statfs } from 'node:fs/promises';
import { cpus } from 'node:os';
import type { MachineState } from '../../../src-shared/state.ts';
import type { EngineSettings } from '../configuration/settings.ts';

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
  const [memory, diskFree] = await Promise.all([memoryOf(), freeSpace(query.workdir)]);
  const rounded = (bytes: number): number => Math.floor(bytes / (64 * MIB)) * 64 * MIB;
  const shared = { ...memory, memoryFree: rounded(memory.memoryFree), cpus: cpus().length, diskFree: rounded(diskFree) };
  if (query.previous !== undefined) return { ...query.previous, ...shared };
  const [{ checkMachine }, { findAccelerator }] = await Promise.all([import('../host/probe.ts'), import('../host/kvm.ts')]);
  const checks = await checkMachine({ resourcesDir: query.resourcesDir });
  return { checks: [...checks], accelerator: await findAccelerator(query.settings.accelerator), ...shared };
}

async function memoryOf(): Promise<{ memoryFree: number; memoryTotal: number }> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { memoryFree: field('MemAvailable'), memoryTotal: field('MemTotal') };
}

/** Bytes available to an ordinary user where new environments are created. */
async function freeSpace(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const info = await statfs(folder);
  return info.bavail * info.bsize;
}
