import { readFile } from 'node:fs/promises';

/** Memory of this machine in bytes. */
export interface MachineMemory {
  /** What programs can use without swapping. */
  readonly available: number;
  readonly total: number;
}

export async function machineMemory(): Promise<MachineMemory> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { available: field('MemAvailable'), total: field('MemTotal') };
}
