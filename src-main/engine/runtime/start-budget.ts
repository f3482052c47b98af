import { availableParallelism } from 'node:os';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { machineMemory } from '../core/memory.ts';
import type { Host } from '../host/host.ts';
import { PARALLEL } from './bring-down.ts';

const MIB = 1024 * 1024;

/** How VMs are started on this machine. */
export interface StartBudget {
  /** How many at the same time. */
  readonly parallel: number;
  /** Guests wait until QEMU runs for all of them: those that already boot would take the processors that starting the others needs. */
  readonly holdGuests: boolean;
  /** What the user should know before they start. */
  readonly warning: string | undefined;
}

/** The part of a machine that starting VMs uses. `available` in bytes. */
export interface Machine {
  readonly available: number;
  readonly cpus: number;
}

/**
 * Starting QEMU takes a core for some of the time, and a booting guest its memory: at most twice as many VMs start at once as there are
 * cores, and only one, with its guest, when their memory does not fit what is available. That is no error, since guests rarely use all of
 * their memory (Lago's default is 16 GiB each).
 */
export function startBudget(vms: readonly Pick<VmSpec, 'memory'>[], machine: Machine): StartBudget {
  const needed = vms.reduce((sum, vm) => sum + vm.memory * MIB, 0);
  if (needed <= machine.available) {
    return { parallel: Math.max(1, Math.min(PARALLEL, 2 * machine.cpus)), holdGuests: vms.length > 1, warning: undefined };
  }
  const which = vms.length === 1 ? 'The VM may use' : `The ${vms.length} VMs may together use`;
  return {
    parallel: 1,
    holdGuests: false,
    warning: `${which} ${formatBytes(needed)} of memory, but only ${formatBytes(machine.available)} are available on this machine. Started one after the other; if their guests use it all, Linux ends some of them.`,
  };
}

/** The budget now, on this machine or on that of a remote host. */
export async function currentBudget(vms: readonly Pick<VmSpec, 'memory'>[], host?: Host): Promise<StartBudget> {
  if (host?.kind === 'remote') {
    const [memory, cpus] = await Promise.all([host.run(['cat', '/proc/meminfo']), host.run(['nproc'])]);
    const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(memory.stdout)?.[1] ?? 0) * 1024;
    return startBudget(vms, { available, cpus: Number(cpus.stdout) });
  }
  return startBudget(vms, { available: (await machineMemory()).available, cpus: availableParallelism() });
}
