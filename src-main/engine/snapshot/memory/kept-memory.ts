import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { readJson, writeFileAtomic, writeJson } from '../../core/files/json-file.ts';
import { movedDomainXml } from '../../libvirt/xml/moved-domain.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import { stableUuid, vncSocket } from '../../runtime/realize.ts';
import type { HostSession } from '../../runtime/session.ts';

/** Where a snapshot's memory was written, which the descriptions of its VMs tell of. */
const Origin = z.object({ uuid: z.string(), root: z.string(), socketDir: z.string() });
type Origin = z.infer<typeof Origin>;

/** The file with the VM's memory when the snapshot was taken: QEMU's migration stream. */
export function keptMemory(prefix: Prefix, snapshot: string, vm: string): string {
  return join(prefix.paths.snapshots, snapshot, `${vm}.memory`);
}

/** The file with libvirt's migratable description of the VM when the snapshot was taken. */
export function keptDomain(prefix: Prefix, snapshot: string, vm: string): string {
  return join(prefix.paths.snapshots, snapshot, `${vm}.domain.xml`);
}

function originFile(prefix: Prefix, snapshot: string): string {
  return join(prefix.paths.snapshots, snapshot, 'origin.json');
}

/** Keeps where the memory of a snapshot comes from. */
export async function keepOrigin({ host }: HostSession, prefix: Prefix, snapshot: string): Promise<void> {
  await writeJson(originFile(prefix, snapshot), { uuid: prefix.uuid, root: prefix.paths.root, socketDir: host.socketDir });
}

/** What `keepOrigin` kept. `snapshot.missing` when it is not there. */
export async function keptOrigin(prefix: Prefix, snapshot: string): Promise<Origin> {
  const origin = await readJson(originFile(prefix, snapshot), Origin);
  if (origin === undefined) throw new EngineError('snapshot.missing', `The snapshot "${snapshot}" has lost its file origin.json.`);
  return origin;
}

/** Keeps libvirt's description of a running VM, with which its memory can go on. */
export async function keepDomain(
  { hypervisor }: HostSession,
  prefix: Prefix,
  snapshot: string,
  vm: VmSpec,
  signal: AbortSignal,
): Promise<void> {
  const xml = await hypervisor.domainXml(domainName(prefix.uuid, vm.name), { migratable: true }, { signal });
  await writeFileAtomic(keptDomain(prefix, snapshot, vm.name), xml, 0o600);
}

/**
 * The description with which a VM's memory goes on here and now: in this prefix, whichever it was taken in, with the disks of `now`.
 * `snapshot.missing` when a file of the snapshot is not there.
 */
export async function domainHere({ host }: HostSession, prefix: Prefix, snapshot: string, now: VmSpec): Promise<string> {
  const origin = await keptOrigin(prefix, snapshot);
  const { name } = now;
  const { root } = prefix.paths;
  const socketThen = vncSocket(origin.socketDir, origin.uuid, name);
  return movedDomainXml(await readFile(keptDomain(prefix, snapshot, name), 'utf8'), {
    name: domainName(prefix.uuid, name),
    uuid: stableUuid(prefix.uuid, name),
    disks: new Map(now.disks.flatMap(({ dev, path }) => (path === '' ? [] : [[dev, expandPrefixPath(path, root)] as const]))),
    // The first that fits counts: the whole uuid, of the owner, before its beginnings.
    instead: [
      [origin.uuid, prefix.uuid],
      [socketThen, vncSocket(host.socketDir, prefix.uuid, name)],
      [`${origin.socketDir}/`, `${host.socketDir}/`],
      [`${origin.root}/`, `${root}/`],
      // Names of networks begin with four digits, those of VMs with eight; see names.ts.
      [`${origin.uuid.slice(0, 8)}-`, `${prefix.uuid.slice(0, 8)}-`],
      [`${origin.uuid.slice(0, 4)}-`, `${prefix.uuid.slice(0, 4)}-`],
    ],
  });
}
