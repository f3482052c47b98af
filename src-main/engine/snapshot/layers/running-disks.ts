import type { VmSpec } from '../../../../src-shared/specs.ts';
import { childrenXml, findXml, readXml } from '../../libvirt/xml/read-xml.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../../runtime/session.ts';
import { statusOf } from '../snapshot-parts.ts';

/** The files that QEMU of a VM writes to, by target (`vda`); undefined when the VM is off. */
export async function runningDisks(
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  if (session === undefined) return undefined;
  const now = await statusOf(session, prefix, vm, signal);
  if (now === undefined || now.id < 0) return undefined;
  const xml = await session.hypervisor.domainXml(domainName(prefix.uuid, vm.name), {}, { signal });
  const devices = findXml(readXml(xml), 'devices');
  const disks = devices === undefined ? [] : childrenXml(devices, 'disk');
  return new Map(
    disks.flatMap((disk) => {
      const dev = findXml(disk, 'target')?.attributes.get('dev');
      const file = childrenXml(disk, 'source')[0]?.attributes.get('file');
      return dev === undefined || file === undefined ? [] : [[dev, file] as const];
    }),
  );
}
