import type { DomainRunState, DomainSnapshot, HypervisorEvent } from '../hypervisor.ts';
import { findXml, readXml, textXml } from '../xml/read-xml.ts';

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
