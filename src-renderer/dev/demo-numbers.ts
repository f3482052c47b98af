import type { LiveNumbers } from '../../src-shared/numbers.ts';
import type { VmState } from '../../src-shared/state.ts';

const EVERY_MS = 1000;
const MIB = 1024 ** 2;

/** Invented use of the VMs that run, moving slowly, once a second until abort. */
export async function* demoNumbers(vms: () => readonly VmState[], signal: AbortSignal | undefined): AsyncGenerator<LiveNumbers> {
  for (let beat = 1; signal?.aborted !== true; beat++) {
    const running = vms().filter((vm) => vm.status === 'running');
    yield {
      vms: running.map((vm, index) => {
        const wave = (1 + Math.sin(beat / 5 + index)) / 2;
        return {
          name: vm.name,
          cores: vm.vcpu * (0.04 + 0.3 * wave),
          memory: (0.5 + 0.05 * wave) * vm.memory * MIB,
          guestMemory: (0.3 + 0.05 * wave) * vm.memory * MIB,
          balloon: vm.memory * MIB,
          diskRead: 90_000 * wave,
          diskWritten: 2_400_000 * wave,
          received: 310_000 * wave,
          sent: 24_000 * wave,
        };
      }),
    };
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}
