import type { BlockJob, DhcpLease, DomainRunState, DomainSnapshot, DomainStatistics } from './hypervisor.ts';

/** A domain of the fake host. */
export interface Domain {
  readonly name: string;
  readonly uuid: string;
  /** -1 when it is off. */
  id: number;
  state: DomainRunState;
  reason: number;
  persistent: boolean;
  /** The definition; while it runs, `activeXml` is the definition it was started with. */
  xml: string;
  activeXml: string | undefined;
  readonly snapshots: Map<string, Snapshot>;
  current: string | undefined;
  /** Its next start goes on from a saved state. */
  saved: boolean;
  frozen: boolean;
  readonly blockJobs: Map<string, BlockJob>;
  /** What the guest remembers while it is not powered off. */
  memory: string;
  /** CPU time and traffic as the test set them. */
  counters: Pick<DomainStatistics, 'cpuTimeNs'>;
}

/** A snapshot of one. */
export interface Snapshot {
  readonly name: string;
  parent: string | undefined;
  readonly createdAt: number;
  readonly state: DomainSnapshot['state'];
  /** The domain's definition when the snapshot was taken; undefined when the snapshot was redefined without it. */
  readonly domainXml: string | undefined;
}

/** A network of the fake host. */
export interface Network {
  readonly name: string;
  readonly uuid: string;
  active: boolean;
  persistent: boolean;
  xml: string;
  leases: readonly DhcpLease[];
}

/** The host as a plain value without run-specific data (times, ids, generated uuids), for before-and-after comparison. */
export interface FakeState {
  readonly domains: readonly {
    readonly name: string;
    readonly state: DomainRunState;
    readonly persistent: boolean;
    readonly snapshots: readonly {
      readonly name: string;
      readonly parent: string | undefined;
      readonly state: string;
      readonly current: boolean;
    }[];
  }[];
  readonly networks: readonly { readonly name: string; readonly active: boolean; readonly persistent: boolean }[];
}
