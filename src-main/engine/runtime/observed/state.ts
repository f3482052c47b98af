import { access, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { NetSpec, VmSpec } from '../../../../src-shared/specs.ts';
import type { AddressSource, HostSummary, NetworkState, NicState, PrefixState, VmState, VmStatus } from '../../../../src-shared/state.ts';
import { readHolder } from '../../core/lock.ts';
import type { Log } from '../../core/log.ts';
import type { DomainStatus, NetworkStatus } from '../../libvirt/hypervisor.ts';
import { vcpuOf } from '../../libvirt/xml/cpu.ts';
import { networkName } from '../../libvirt/xml/network-xml.ts';
import type { PluginRegistry } from '../../plugins/registry.ts';
import { deployStates } from '../../prefix/deploy-record.ts';
import { readEvents } from '../../prefix/events.ts';
import { expandPrefixPath, type PrefixPaths } from '../../prefix/layout.ts';
import { domainName, type Prefix, vmAddress } from '../../prefix/prefix.ts';
import type { PendingWork } from '../../prefix/record.ts';
import { type ForeignVm, foreignVm, isHosted } from '../foreign-vms.ts';
import { packagesState } from '../packages/state.ts';
import type { HostAccess, HostSession } from '../session.ts';
import { hasCrashed, readCrash, shutItselfDown } from './crash.ts';
import { driftOf } from './drift.ts';
import { serverIsGone } from './network-server.ts';
import { snapshotStates } from './snapshot-states.ts';

/** Facts about a VM that only a running engine knows. */
export interface VmNote {
  readonly ssh: VmState['ssh'];
  readonly boot: VmState['boot'];
  readonly startedAt: number | null;
}

/** An address that a network card was seen with. */
export interface ObservedAddress {
  /** Index of the card in its VM. */
  readonly nic: number;
  readonly ip: string;
  readonly source: AddressSource;
}

export interface StateOptions {
  readonly notes?: (vm: string) => VmNote | undefined;
  readonly addresses?: (vm: string) => readonly ObservedAddress[];
}

/** State of a VM that libvirt does not run, from its provider. */
export interface ForeignNote {
  readonly status: VmStatus;
  readonly address: string | null;
}

/** What libvirt and the VM providers report about a prefix, for callers that have it already. */
export interface Observation {
  readonly session: HostSession | undefined;
  /** Why a running host cannot be queried; null otherwise. */
  readonly problem: string | null;
  readonly domains: readonly DomainStatus[];
  readonly networks: readonly NetworkStatus[];
  /** VM → state from its provider; hosted VMs have none. */
  readonly foreign: ReadonlyMap<string, ForeignNote>;
}

export interface ObserveOptions {
  readonly plugins: PluginRegistry;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/** A provider that does not answer in time leaves its VM `unknown`, so that nobody waits longer. */
const PROVIDER_MS = 5000;

/** Queries the prefix's host and VM providers. Starts nothing; when the host is down, so are its VMs. */
export async function observe(prefix: Prefix, hosts: HostAccess, options: ObserveOptions): Promise<Observation> {
  const { signal } = options;
  const [hosted, foreign] = await Promise.all([observeHost(prefix, hosts, signal), askProviders(prefix, options)]);
  return { ...hosted, foreign };
}

async function observeHost(prefix: Prefix, hosts: HostAccess, signal: AbortSignal | undefined): Promise<Omit<Observation, 'foreign'>> {
  const nothing = { session: undefined, domains: [], networks: [] };
  try {
    const session = await hosts.find(prefix, signal);
    if (session === undefined) return { ...nothing, problem: null };
    const { hypervisor } = session;
    const [domains, networks] = await Promise.all([hypervisor.listDomains({ signal }), hypervisor.listNetworks({ signal })]);
    return { session, domains, networks, problem: null };
  } catch (error) {
    if (!(error instanceof EngineError) || !['host.unusable', 'hypervisor.disconnected'].includes(error.code)) throw error;
    return { ...nothing, problem: error.hint === undefined ? error.message : `${error.message} ${error.hint}` };
  }
}

async function askProviders(prefix: Prefix, { plugins, log, signal }: ObserveOptions): Promise<ReadonlyMap<string, ForeignNote>> {
  const others = prefix.specs.vms.filter((vm) => !isHosted(plugins, vm));
  if (others.length === 0) return new Map();
  const notes = others.map(async (vm): Promise<[string, ForeignNote]> => {
    try {
      return [vm.name, await noteOf(foreignVm(plugins, prefix, vm), log, signal)];
    } catch (error) {
      signal?.throwIfAborted();
      log.warn(error instanceof Error ? error.message : String(error));
      return [vm.name, { status: 'unknown', address: vmAddress(prefix.specs, vm) }];
    }
  });
  return new Map(await Promise.all(notes));
}

async function noteOf(foreign: ForeignVm, log: Log, signal: AbortSignal | undefined): Promise<ForeignNote> {
  const limit = new AbortController();
  const call = { signal: signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]), log };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      limit.abort();
      reject(new Error(`VM ${foreign.vm.name}: its provider "${foreign.vm['vm-provider']}" did not answer in time.`));
    }, PROVIDER_MS);
  });
  try {
    const [status, address] = await Promise.race([Promise.all([foreign.state(call), foreign.address(call)]), late]);
    return { status, address: address?.host ?? null };
  } finally {
    clearTimeout(timer);
  }
}

/** The complete state that views and `lago status` show. */
export async function prefixState(prefix: Prefix, hosts: HostAccess, seen: Observation, options: StateOptions = {}): Promise<PrefixState> {
  const [diskUsage, holder, workdir, deploy, snapshots, events, packages, vms] = await Promise.all([
    usage(prefix.paths),
    readHolder(prefix.paths.lock),
    workdirOf(prefix.paths.root),
    deployStates(prefix.paths, prefix.specs.vms),
    snapshotStates(prefix),
    readEvents(prefix.paths),
    packagesState(prefix, seen.session),
    Promise.all(prefix.specs.vms.map(async (vm) => await vmState(prefix, vm, seen, options))),
  ]);
  const busy = holder ?? null;
  const drift = busy === null ? await driftOf(seen.session, prefix, seen.domains) : new Map<string, string>();
  const interrupted = busy === null ? interruption(prefix) : undefined;
  const forkedFrom = prefix.record?.forkedFrom;
  return {
    id: prefix.uuid,
    name: prefix.name,
    path: prefix.paths.root,
    workdir,
    phase:
      interrupted?.broken === true ? 'broken' : prefix.record?.phase === 'creating' ? 'creating' : prefix.initialized ? 'ready' : 'cleaned',
    problem: interrupted?.problem ?? null,
    initFile: prefix.record?.initFile ?? null,
    host: hostState(hosts.summary(prefix, seen.session, seen.problem), busy !== null),
    vms: vms.map((vm) => (busy !== null && isHeldBack(prefix, vm) ? { ...vm, status: 'down' } : withProblem(vm, drift.get(vm.name)))),
    networks: prefix.specs.nets.map((net) => networkState(prefix, net, seen)),
    snapshots,
    events,
    forkedFrom: forkedFrom === undefined ? null : { id: forkedFrom.uuid, at: prefix.record?.createdAt ?? 0, snapshot: forkedFrom.snapshot },
    deploy,
    ...(packages === undefined ? {} : { packages }),
    diskUsage,
    busy,
  };
}

/** Whether a start that is under way has QEMU ready for the VM, but lets its guest wait until the others are. */
function isHeldBack({ record }: Prefix, vm: VmState): boolean {
  const pending = record?.pending ?? null;
  return vm.status === 'paused' && pending?.kind === 'start' && pending.vms.includes(vm.name);
}

function withProblem(vm: VmState, problem: string | undefined): VmState {
  return problem === undefined ? vm : { ...vm, problem };
}

/** A command that works on a host that is down is starting or stopping it. */
function hostState(host: HostSummary, isBusy: boolean): HostSummary {
  return isBusy && host.status === 'down' ? { ...host, problem: null } : host;
}

/** What is wrong with a prefix that no command is working on: it can only be destroyed, or has unfinished work. */
function interruption(prefix: Prefix): { readonly broken: boolean; readonly problem: string } | undefined {
  if (prefix.record?.phase === 'creating') {
    return { broken: true, problem: 'Its creation was interrupted. Destroy it and create it again.' };
  }
  const pending = prefix.record?.pending ?? null;
  if (pending === null) return undefined;
  if (pending.kind === 'destroy') return { broken: true, problem: 'Its destruction was interrupted. Destroy it to remove the rest.' };
  return { broken: false, problem: interruptedWork(pending) };
}

function interruptedWork({ kind, name }: PendingWork): string {
  switch (kind) {
    case 'snapshot':
      return `The snapshot “${name}” was interrupted. The next command on this environment takes it back.`;
    case 'revert':
      return `The revert to “${name}” was interrupted. The next start or revert finishes it.`;
    case 'delete-snapshot':
      return `Deleting the snapshot “${name}” was interrupted. The next command on this environment finishes it.`;
    case 'edit-snapshot':
      return `Renaming the snapshot “${name}” was interrupted. The next command on this environment finishes it.`;
    case 'fork':
      return 'A fork was interrupted. The next command on this environment removes what is left of it.';
    case 'vm':
      return 'A change of a VM was interrupted. The next command on this environment finishes it.';
    default:
      return `A ${kind} was interrupted. The next command on this environment tidies up after it.`;
  }
}

function vmStatus(domain: DomainStatus | undefined): VmStatus {
  // Stopped domains are defined only briefly, so they are shown as down, like unknown ones.
  if (domain === undefined) return 'down';
  if (hasCrashed(domain)) return 'crashed';
  if (domain.state === 'shut off') return 'down';
  return domain.state;
}

async function vmState(prefix: Prefix, vm: VmSpec, seen: Observation, options: StateOptions): Promise<VmState> {
  const note = options.notes?.(vm.name);
  const domain = seen.domains.find((candidate) => candidate.name === domainName(prefix.uuid, vm.name));
  const foreign = seen.foreign.get(vm.name);
  // If the host does not respond, the state of its VMs is unknown, not down.
  const status = foreign?.status ?? (seen.problem === null ? vmStatus(domain) : 'unknown');
  const running = status === 'running';
  const metadata = vm.disks[0]?.metadata ?? {};
  const distro = vm.distro ?? metadata['distro'];
  return {
    name: vm.name,
    status,
    crash: domain !== undefined && status === 'crashed' ? await readCrash(prefix.paths, vm.name, domain, seen.session?.host) : null,
    ...(domain !== undefined && status === 'down' && shutItselfDown(domain) ? { shutDownByGuest: true as const } : {}),
    distro: typeof distro === 'string' ? distro : null,
    memory: vm.memory,
    ...(vm.balloon === undefined ? {} : { balloon: vm.balloon }),
    vcpu: vcpuOf(vm),
    ip: foreign === undefined ? vmAddress(prefix.specs, vm) : foreign.address,
    nics: vm.nics.map((nic, index) => ({
      ...{ name: `eth${index}`, network: nic.net, ip: nic.ip ?? null, mac: null },
      ...(nic.link === 'down' ? { link: nic.link } : {}),
      ...seenWith(index, running ? options.addresses?.(vm.name) : undefined),
    })),
    disks: vm.disks.map((disk) => ({
      name: disk.name,
      dev: disk.dev,
      format: disk.format,
      path: expandPrefixPath(disk.path, prefix.paths.root),
    })),
    snapshots: Object.keys(vm.snapshots),
    metadata: vm.metadata,
    ssh: running ? (note?.ssh ?? 'unknown') : 'off',
    boot: running ? (note?.boot ?? null) : null,
    startedAt: running ? (note?.startedAt ?? null) : null,
    screen: domain !== undefined && domain.id >= 0,
  };
}

function seenWith(index: number, addresses: readonly ObservedAddress[] = []): Pick<NicState, 'seen'> {
  const seen = addresses.filter(({ nic }) => nic === index).map(({ ip, source }) => ({ ip, source }));
  return seen.length === 0 ? {} : { seen };
}

/** Root's password from the definition. */
export function rootPasswordOf(vm: VmSpec): string | number | null {
  return vm['root-password'] ?? vm['ssh-password'] ?? null;
}

function networkState(prefix: Prefix, net: NetSpec, seen: Observation): NetworkState {
  const name = networkName(prefix.uuid, net.name);
  const up = seen.networks.some((candidate) => candidate.name === name && candidate.active);
  return {
    name: net.name,
    type: net.type,
    status: up ? 'up' : 'down',
    ...(up && seen.session !== undefined && serverIsGone(seen.session, prefix.uuid, net) ? { problem: serverGone(net.name) } : {}),
    gateway: net.gw ?? null,
    management: net.management,
    dhcp: net.dhcp ?? null,
    domain: net.dns_domain_name ?? null,
  };
}

function serverGone(net: string): string {
  return `The DHCP and DNS server of network ${net} does not run: VMs get neither addresses nor names. “lago start” starts it again.`;
}

/** Bytes on disk of the images (holes do not count). */
async function usage(paths: PrefixPaths): Promise<number> {
  const names = await readdir(paths.images, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map(async (name) => {
      // A disk may vanish between listing and stat; it then takes no space.
      const info = await stat(join(paths.images, name)).catch(() => undefined);
      return info?.isFile() === true ? info.blocks * 512 : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function workdirOf(root: string): Promise<string | null> {
  const parent = dirname(root);
  return await access(join(parent, 'current')).then(
    () => parent,
    () => null,
  );
}
