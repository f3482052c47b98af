import { findXml, readXml, textXml } from '../../core/xml/read-xml.ts';
import type { BlockJobKind, DomainJob, DomainRunState, DomainSnapshot, DomainStatistics, HypervisorEvent } from '../hypervisor.ts';
import type { DomainRef } from './protocol.ts';
import { ParameterReader, type TypedParameters } from './typed-parameters.ts';

/** virDomainState, by number. */
const STATES: readonly DomainRunState[] = [
  'no state',
  'running',
  'blocked',
  'paused',
  'being shut down',
  'shut off',
  'crashed',
  'suspended',
];

type DomainEvent = Extract<HypervisorEvent, { type: 'domain' }>['event'];
type NetworkEvent = Extract<HypervisorEvent, { type: 'network' }>['event'];

/** virDomainEventType, by number. */
const DOMAIN_EVENTS: readonly DomainEvent[] = [
  'defined',
  'undefined',
  'started',
  'suspended',
  'resumed',
  'stopped',
  'shutdown',
  'pmsuspended',
  'crashed',
];

/** virNetworkEventLifecycleType, by number. */
const NETWORK_EVENTS: readonly NetworkEvent[] = ['defined', 'undefined', 'started', 'stopped'];

type BlockJobStatus = Extract<HypervisorEvent, { type: 'block job' }>['status'];

/** virDomainBlockJobType, by number. */
const BLOCK_JOBS: readonly BlockJobKind[] = ['unknown', 'pull', 'copy', 'commit', 'active commit', 'backup'];

/** virConnectDomainEventBlockJobStatus, by number. */
const BLOCK_JOB_STATUSES: readonly BlockJobStatus[] = ['completed', 'failed', 'cancelled', 'ready'];

/** An unknown state is "no state". */
export function runStateOf(state: number): DomainRunState {
  return STATES[state] ?? 'no state';
}

/** undefined for an unknown kind of event. */
export function domainEventOf(event: number): DomainEvent | undefined {
  return DOMAIN_EVENTS[event];
}

/** undefined for an unknown kind of event. */
export function networkEventOf(event: number): NetworkEvent | undefined {
  return NETWORK_EVENTS[event];
}

export function blockJobKindOf(kind: number): BlockJobKind {
  return BLOCK_JOBS[kind] ?? 'unknown';
}

/** undefined for an unknown status. */
export function blockJobStatusOf(status: number): BlockJobStatus | undefined {
  return BLOCK_JOB_STATUSES[status];
}

/** What libvirt tells about a job, under way or completed. */
export function jobOf(values: TypedParameters): DomainJob {
  const job = new ParameterReader(values);
  return {
    elapsedMs: job.number('time_elapsed') ?? 0,
    processed: job.number('data_processed') ?? job.number('memory_processed') ?? 0,
    total: job.number('data_total') ?? job.number('memory_total') ?? 0,
  };
}

/** Bulk statistics of one domain; groups that libvirt leaves out are empty or 0. */
export function statisticsOf(domain: DomainRef, values: TypedParameters): DomainStatistics {
  const all = new ParameterReader(values);
  const number = (name: string): number => all.number(name) ?? 0;
  const each = <T>(group: string, read: (key: string) => T): T[] =>
    Array.from({ length: number(`${group}.count`) }, (_, index) => read(`${group}.${index}`));
  return {
    name: domain.name,
    uuid: domain.uuid,
    state: runStateOf(number('state.state')),
    cpuTimeNs: number('cpu.time'),
    vcpus: number('vcpu.current'),
    memoryKiB: {
      current: all.number('balloon.current'),
      maximum: all.number('balloon.maximum'),
      available: all.number('balloon.available'),
      usable: all.number('balloon.usable'),
      unused: all.number('balloon.unused'),
      resident: all.number('balloon.rss'),
    },
    disks: each('block', (disk) => ({
      dev: all.text(`${disk}.name`) ?? '',
      readBytes: number(`${disk}.rd.bytes`),
      readRequests: number(`${disk}.rd.reqs`),
      writtenBytes: number(`${disk}.wr.bytes`),
      writeRequests: number(`${disk}.wr.reqs`),
      capacity: number(`${disk}.capacity`),
      allocation: number(`${disk}.allocation`),
    })),
    nics: each('net', (nic) => ({
      dev: all.text(`${nic}.name`) ?? '',
      receivedBytes: number(`${nic}.rx.bytes`),
      receivedPackets: number(`${nic}.rx.pkts`),
      sentBytes: number(`${nic}.tx.bytes`),
      sentPackets: number(`${nic}.tx.pkts`),
    })),
  };
}

/** libvirt's number 9000000 as "9.0.0". */
export function versionText(version: number): string {
  return `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`;
}

function snapshotStateOf(state: string): DomainSnapshot['state'] {
  switch (state) {
    case 'disk-snapshot':
      return 'disk-snapshot';
    case 'paused':
    case 'pmsuspended':
      return 'paused';
    case 'shutoff':
    case 'shutdown':
    case 'crashed':
      return 'shutoff';
    default:
      return 'running';
  }
}

/** Parses libvirt's description of a snapshot. */
export function snapshotOf(xml: string, current: string | undefined): DomainSnapshot {
  const root = readXml(xml, { what: "libvirt's description of a snapshot" });
  const name = textXml(root, 'name') ?? '';
  return {
    name,
    parent: findXml(root, 'parent') === undefined ? undefined : textXml(root, 'parent', 'name'),
    createdAt: Number(textXml(root, 'creationTime') ?? 0) * 1000,
    state: snapshotStateOf(textXml(root, 'state') ?? ''),
    current: name === current,
  };
}

/** Parents before their children, else by time and name: libvirt lists snapshots unordered, with times in whole seconds. */
export function sortSnapshots(snapshots: readonly DomainSnapshot[]): readonly DomainSnapshot[] {
  const byName = new Map(snapshots.map((snapshot) => [snapshot.name, snapshot]));
  const depthOf = (snapshot: DomainSnapshot): number => {
    let depth = 0;
    let parent = snapshot.parent === undefined ? undefined : byName.get(snapshot.parent);
    while (parent !== undefined && depth <= snapshots.length) {
      depth += 1;
      parent = parent.parent === undefined ? undefined : byName.get(parent.parent);
    }
    return depth;
  };
  return [...snapshots].sort(
    (a, b) => a.createdAt - b.createdAt || depthOf(a) - depthOf(b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}
