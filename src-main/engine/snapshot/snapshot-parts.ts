import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { writeFileAtomic, writeJson } from '../core/files/json-file.ts';
import { until } from '../core/until.ts';
import type { DomainStatus } from '../libvirt/hypervisor.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import { domainName, type Prefix, readSpecs } from '../prefix/prefix.ts';
import type { PrefixRecord, SnapshotRecord } from '../prefix/record.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { diskPlace } from '../runtime/remote-files.ts';
import type { HostSession } from '../runtime/session.ts';

/** Common parts of taking, reverting and deleting a snapshot, and of completing these after a kill. */

/** libvirt's code for "the domain is busy with another job", possibly started by a killed command. */
const OPERATION_TIMEOUT = 68;
/** libvirt's code for "the domain is already running", or not active. */
const OPERATION_INVALID = 55;
/** Time limit of such a job; it may write gigabytes of memory to a slow disk. */
const JOB_MS = 2 * 60_000;

/** The record, which snapshots need. `snapshot.unsupported` for a prefix made by Lago. */
export function recordOf(prefix: Prefix): PrefixRecord {
  if (prefix.record !== undefined) return prefix.record;
  throw new EngineError('snapshot.unsupported', `${prefix.name} was made by an older Lago: its snapshots are not managed here.`, {
    hint: 'Create the environment again from its init file to use snapshots.',
  });
}

/** `snapshot.missing`, listing the existing ones. */
export function findSnapshot(prefix: Prefix, name: string): SnapshotRecord {
  const found = recordOf(prefix).snapshots.find((snapshot) => snapshot.name === name);
  if (found !== undefined) return found;
  const names = recordOf(prefix).snapshots.map((snapshot) => snapshot.name);
  throw new EngineError('snapshot.missing', `${prefix.name} has no snapshot "${name}".`, {
    hint: names.length === 0 ? 'It has none yet: take one with "lago snapshot NAME".' : `It has: ${names.join(', ')}.`,
  });
}

/** `wanted`, with a number if the environment has a snapshot of that name. */
export function freeSnapshotName({ snapshots }: PrefixRecord, wanted: string): string {
  const taken = new Set(snapshots.map(({ name }) => name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted} ${number}`;
    if (!taken.has(name)) return name;
  }
}

/** State of a VM in libvirt; undefined when libvirt does not know it. */
export async function statusOf(session: HostSession, prefix: Prefix, vm: VmSpec, signal?: AbortSignal): Promise<DomainStatus | undefined> {
  return await session.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal });
}

/** Those of the VMs that are running: neither off nor paused. */
export async function runningVms(
  session: HostSession,
  prefix: Prefix,
  vms: readonly VmSpec[],
  signal: AbortSignal,
): Promise<readonly VmSpec[]> {
  const states = await Promise.all(vms.map(async (vm) => (await statusOf(session, prefix, vm, signal))?.state));
  return vms.filter((_, index) => states[index] === 'running' || states[index] === 'blocked');
}

/** Runs `work` when libvirt has finished its current job on the domain, which a killed command may have started. */
export async function onceFree(signal: AbortSignal | undefined, work: () => Promise<void>, patienceMs = JOB_MS): Promise<void> {
  let last: unknown;
  await until(
    async () => {
      try {
        await work();
        return true;
      } catch (error) {
        if (!(error instanceof EngineError) || error.details['libvirtCode'] !== OPERATION_TIMEOUT) throw error;
        last = error;
        return undefined;
      }
    },
    {
      everyMs: 200,
      timeoutMs: patienceMs,
      signal,
      failure: () => (last instanceof EngineError ? last : new EngineError('hypervisor.failed', 'libvirt is busy with a VM for too long.')),
    },
  );
}

/** Resumes those of the VMs that are paused. */
export async function resume(session: HostSession, prefix: Prefix, vms: readonly VmSpec[], signal: AbortSignal): Promise<void> {
  await Promise.all(
    vms.map(async (vm) => {
      const now = await statusOf(session, prefix, vm, signal);
      if (now?.state === 'paused') await session.hypervisor.resumeDomain(now.name, { signal });
    }),
  );
}

/**
 * Resumes a VM that was running before, after libvirt's current job on it: even if an abandoned call is still going to pause it. Accepts
 * one that is off, or is running by then.
 */
export async function resumeForSure(
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  signal: AbortSignal,
  patienceMs = JOB_MS,
): Promise<void> {
  const now = await statusOf(session, prefix, vm, signal);
  if (now === undefined || now.id < 0) return;
  await onceFree(
    signal,
    async () => {
      try {
        await session.hypervisor.resumeDomain(now.name, { signal });
      } catch (error) {
        if (!(error instanceof EngineError) || error.details['libvirtCode'] !== OPERATION_INVALID) throw error;
      }
    },
    patienceMs,
  );
}

/** Saves libvirt's own description in the prefix, so that the snapshot can be defined again in a libvirt that has forgotten it. */
export async function keepXml(session: HostSession, prefix: Prefix, vm: VmSpec, name: string, signal: AbortSignal): Promise<void> {
  const folder = join(prefix.paths.snapshots, name);
  await mkdir(folder, { recursive: true });
  const xml = await session.hypervisor.snapshotXml(domainName(prefix.uuid, vm.name), name, { signal });
  await writeFileAtomic(join(folder, `${vm.name}.xml`), xml, 0o600);
}

/** The file with the ssh host keys that were pinned when the snapshot was taken. */
export function keptHostKeys(prefix: Prefix, name: string): string {
  return join(prefix.paths.snapshots, name, 'known-hosts.json');
}

/** The file with the VM's definition when the snapshot was taken: its devices and memory may be changed since. */
export function keptDefinition(prefix: Prefix, name: string, vm: VmSpec): string {
  return join(prefix.paths.snapshots, name, `${vm.name}.json`);
}

/** Lago keeps its own list in each VM's spec. */
export async function recordInSpecs(prefix: Prefix, snapshots: (vm: VmSpec) => VmSpec['snapshots']): Promise<void> {
  await Promise.all(prefix.specs.vms.map(async (vm) => await writeJson(prefix.paths.vm(vm.name), { ...vm, snapshots: snapshots(vm) })));
}

/**
 * Removes a snapshot from Lago's list and deletes its folder, but not its data in libvirt and the disks. A list without it is not
 * rewritten: the disk may be full when a snapshot that did not fit is undone.
 */
export async function forgetFiles(prefix: Prefix, name: string): Promise<void> {
  await rm(join(prefix.paths.snapshots, name), { recursive: true, force: true });
  // Read again, since the prefix was read before the snapshot was taken.
  const { vms } = await readSpecs(prefix.paths);
  for (const vm of vms) {
    const { [name]: listed, ...others } = vm.snapshots;
    if (listed !== undefined) await writeJson(prefix.paths.vm(vm.name), { ...vm, snapshots: others });
  }
}

/**
 * Deletes a snapshot from a VM that libvirt knows. A missing one is fine, and so is one of which only libvirt's metadata is left or which
 * another call is deleting.
 */
export async function deleteFromVm(session: HostSession, prefix: Prefix, vm: VmSpec, name: string, signal?: AbortSignal): Promise<void> {
  const domain = domainName(prefix.uuid, vm.name);
  const known = await session.hypervisor.listSnapshots(domain, { signal });
  if (!known.some((snapshot) => snapshot.name === name)) return;
  try {
    await onceFree(signal, async () => await session.hypervisor.deleteSnapshot(domain, name, {}, { signal }));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    if (error.code === 'snapshot.missing') return;
    if (error.code !== 'hypervisor.failed' || (await isInDisks(session, prefix, vm, name))) throw error;
    await session.hypervisor.deleteSnapshot(domain, name, { metadataOnly: true }, { signal });
  }
}

/**
 * Deletes a snapshot that is in the disks of a VM that is not off, although libvirt does not know it: libvirt was killed while QEMU was
 * saving it. QEMU uses the disks, so libvirt is told of it first.
 */
export async function deleteUnknown(session: HostSession, prefix: Prefix, vm: VmSpec, name: string, signal?: AbortSignal): Promise<void> {
  const domain = domainName(prefix.uuid, vm.name);
  const known = await session.hypervisor.listSnapshots(domain, { signal });
  if (known.some((snapshot) => snapshot.name === name) || !(await isInDisks(session, prefix, vm, name))) return;
  const described = snapshotInMemoryXml(name, await session.hypervisor.domainXml(domain, {}, { signal }));
  await session.hypervisor.createSnapshot(domain, described, { redefine: true }, { signal });
  await deleteFromVm(session, prefix, vm, name, signal);
}

/** libvirt's description of a snapshot with memory that exists already. */
function snapshotInMemoryXml(name: string, domainXml: string): string {
  const seconds = Math.floor(Date.now() / 1000);
  const domain = domainXml.slice(domainXml.indexOf('<domain'));
  return `<domainsnapshot><name>${escapeXml(name)}</name><state>paused</state><creationTime>${seconds}</creationTime><memory snapshot='internal'/>${domain}</domainsnapshot>`;
}

/** Text as the content of an element or attribute. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&'"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Whether any disk of the VM still contains the snapshot. */
async function isInDisks({ host }: HostSession, prefix: Prefix, vm: VmSpec, name: string): Promise<boolean> {
  const { listImageSnapshots } = await import('../disk/qemu-img.ts');
  const there = host.kind === 'remote' ? { run: host.run } : {};
  const lists = await Promise.all(snapshotDisks(prefix, vm).map(async (path) => await listImageSnapshots(path, there)));
  return lists.flat().some((snapshot) => snapshot.name === name);
}

/** Deletes a snapshot from the disks of a VM that is off, even if libvirt does not know it and the host is down. */
export async function deleteFromDisks(
  context: RecipeContext,
  prefix: Prefix,
  vm: VmSpec,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const place = diskPlace(context, prefix);
  const { deleteImageSnapshot } = await import('../disk/qemu-img.ts');
  for (const path of snapshotDisks(prefix, vm)) await deleteImageSnapshot(await place.path(path), name, { signal, run: place.run });
}

/** Paths of the disks that can contain snapshots. */
function snapshotDisks(prefix: Prefix, vm: VmSpec): readonly string[] {
  return vm.disks
    .filter((disk) => disk.format === 'qcow2' && disk.readonly !== true)
    .map((disk) => expandPrefixPath(disk.path, prefix.paths.root))
    .filter((path) => existsSync(path));
}
