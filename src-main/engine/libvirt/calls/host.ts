import type { HostCalls } from '../hypervisor.ts';
import { procedures } from '../rpc/protocol.ts';
import { versionText } from '../rpc/values.ts';
import type { LibvirtSession } from './session.ts';

/** Calls about the daemon and what its host can do. */
export function hostCalls(session: LibvirtSession): HostCalls {
  return {
    async whenConnected(options) {
      await session.connected('Connecting to libvirt', options);
    },

    async version(options) {
      const doing = "Asking for libvirt's version";
      const [libvirt, hypervisor] = await Promise.all([
        session.call(procedures.connectGetLibVersion, undefined, doing, options),
        session.target.driver === 'qemu' ? session.call(procedures.connectGetVersion, undefined, doing, options) : undefined,
      ]);
      return { libvirt: versionText(libvirt.version), hypervisor: hypervisor === undefined ? '' : versionText(hypervisor.version) };
    },

    async capabilities(options) {
      return (await session.call(procedures.connectGetCapabilities, undefined, 'Asking what the host can do', options)).xml;
    },

    async domainCapabilities({ emulator, arch, machine, virtType }, options) {
      const args = { emulator, arch, machine, virtType, flags: 0 };
      return (await session.call(procedures.connectGetDomainCapabilities, args, 'Asking what VMs can do here', options)).xml;
    },
  };
}
