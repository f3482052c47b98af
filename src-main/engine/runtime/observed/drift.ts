import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { readHolder } from '../../core/lock.ts';
import type { DomainStatus } from '../../libvirt/hypervisor.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { domainName, type Prefix, readSpecs } from '../../prefix/prefix.ts';
import { readRecord } from '../../prefix/record.ts';
import { writableDisks } from '../../snapshot/layers/layer-files.ts';
import { runningDisks } from '../../snapshot/layers/running-disks.ts';
import type { HostSession } from '../session.ts';

/** virDomainShutoffReason: somebody ended the QEMU process. Lago undefines the VMs that it ends. */
const SHUTOFF_DESTROYED = 2;

/**
 * What another program (virsh) has done to the VMs since Lago last did something with them, and what to do: sentences by VM. Asks libvirt
 * only, and reads files only again if something is found. Nothing is found while somebody works on the environment, or has been interrupted.
 */
export async function driftOf(
  session: HostSession | undefined,
  prefix: Prefix,
  domains: readonly DomainStatus[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  if (session === undefined || (prefix.record?.pending ?? null) !== null) return found;
  await Promise.all(
    prefix.specs.vms.map(async (vm) => {
      const domain = domains.find(({ name }) => name === domainName(prefix.uuid, vm.name));
      const sentences = domain === undefined ? [] : await ask(async () => await driftOfVm(session, prefix, vm, domain));
      if (sentences.length > 0) found.set(vm.name, sentences.join(' '));
    }),
  );
  return found.size > 0 && (await isQuiet(prefix)) ? found : new Map();
}

async function driftOfVm(session: HostSession, prefix: Prefix, vm: VmSpec, domain: DomainStatus): Promise<readonly string[]> {
  if (domain.id < 0) {
    return domain.state === 'shut off' && domain.reason === SHUTOFF_DESTROYED
      ? ['It was powered off by another program. “lago start” starts it again.']
      : [];
  }
  const signal = new AbortController().signal;
  const sentences = domain.persistent ? [] : ['Another program has undefined it: it runs on, until it is stopped and started again.'];
  const inUse = await runningDisks(session, prefix, vm, signal);
  for (const disk of inUse === undefined ? [] : writableDisks(vm)) {
    const named = expandPrefixPath(disk.path, prefix.paths.root);
    const file = inUse?.get(disk.dev);
    // One that is not there is not plugged in yet, or a file of another kind.
    if (file !== undefined && file !== named)
      sentences.push(
        `Another program has put disk ${disk.dev} on ${file} instead of ${named}. The next command of Lago goes on from there.`,
      );
  }
  const known = new Set(prefix.record?.snapshots.map(({ name }) => name));
  const foreign = (await session.hypervisor.listSnapshots(domain.name)).filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (foreign.length > 0) {
    sentences.push(`libvirt has snapshots of it that Lago does not know (${foreign.join(', ')}): they cannot be reverted to after a stop.`);
  }
  return sentences;
}

/** Of a VM that ends, or a host that goes away, nothing is known: the next look tells. */
async function ask(work: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    return [];
  }
}

/** Whether what was found is not of the moment: a verb that has begun or ended meanwhile explains it. */
async function isQuiet(prefix: Prefix): Promise<boolean> {
  const [holder, specs, record] = await Promise.all([
    readHolder(prefix.paths.lock),
    readSpecs(prefix.paths),
    readRecord(prefix.paths.record),
  ]);
  return holder === undefined && (record?.pending ?? null) === null && JSON.stringify(specs.vms) === JSON.stringify(prefix.specs.vms);
}
