import type { CrashState, PrefixState } from '../../../src-shared/state.ts';

/** The mapping that Lago 1.0 prints for `status`. `passwords` maps VM names to root passwords. */
export function statusModel(state: PrefixState, passwords: Readonly<Record<string, string | number | null>>): Record<string, unknown> {
  return {
    Prefix: {
      'Base directory': state.path,
      UUID: state.id,
      Networks: Object.fromEntries(
        state.networks.map((net) => [net.name, { gateway: net.gateway, management: net.management, status: net.status }]),
      ),
      VMs: Object.fromEntries(
        state.vms.map((vm) => [
          vm.name,
          {
            NICs: Object.fromEntries(vm.nics.map((nic) => [nic.name, { ip: nic.ip ?? 'N/A', network: nic.network }])),
            distro: vm.distro,
            metadata: vm.metadata,
            'root password': passwords[vm.name] ?? null,
            snapshots: vm.snapshots.join(', '),
            status: vm.status,
            // Lago 1.0 has no such key, so it is present only after a crash; nor the following ones.
            ...(vm.crash === null ? {} : { crash: crashModel(vm.crash) }),
            ...(vm.problem === undefined ? {} : { problem: vm.problem }),
            ...(vm.shutDownByGuest === true ? { 'shut down by': 'its guest' } : {}),
          },
        ]),
      ),
    },
  };
}

function crashModel({ at, reason, lines, console }: CrashState): Record<string, unknown> {
  return { time: at === null ? null : new Date(at).toISOString(), reason, log: lines, console };
}
