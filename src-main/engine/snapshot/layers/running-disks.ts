import type { VmSpec } from '../../../../src-shared/specs.ts';
import { childrenXml, findXml, readXml } from '../../core/xml/read-xml.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../../runtime/session.ts';
import { statusOf } from '../snapshot-parts.ts';

/** A file that QEMU has as a disk, and the format in which it reads it. */
export interface DiskFile {
  readonly path: string;
  readonly format: string;
}

/** The files that QEMU of a VM writes to, by target (`vda`); undefined when the VM is off. */
export async function runningDisks(
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string> | undefined> {
  const files = await runningDiskFiles(session, prefix, vm, signal);
  return files === undefined ? undefined : new Map([...files].map(([dev, { path }]) => [dev, path]));
}

/** The same with their formats. */
export async function runningDiskFiles(
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, DiskFile> | undefined> {
  if (session === undefined) return undefined;
  const now = await statusOf(session, prefix, vm, signal);
  if (now === undefined || now.id < 0) return undefined;
  const xml = await session.hypervisor.domainXml(domainName(prefix.uuid, vm.name), {}, { signal });
  const devices = findXml(readXml(xml), 'devices');
  const disks = devices === undefined ? [] : childrenXml(devices, 'disk');
  return new Map(
    disks.flatMap((disk) => {
      const dev = findXml(disk, 'target')?.attributes.get('dev');
      const path = childrenXml(disk, 'source')[0]?.attributes.get('file');
      const format = findXml(disk, 'driver')?.attributes.get('type') ?? 'raw';
      return dev === undefined || path === undefined ? [] : [[dev, { path, format }] as const];
    }),
  );
}
