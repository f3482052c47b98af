import type { SnapshotBefore, SnapshotKeep } from '../../../src-shared/snapshot/snapshot-keep.ts';

/** Effective settings of one engine, from lago.conf, environment and command line (names as in lago.conf). */
export interface EngineSettings {
  /** Where environments run by default: `embedded`, or a libvirt URI. */
  readonly host: 'embedded' | (string & {});
  readonly uplink: 'auto' | 'none';
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
  readonly leaseDir: string;
  readonly templateStore: string;
  /** Repository JSON, path or URL; undefined uses the one shipped with the program. */
  readonly templateRepoPath: string | undefined;
  readonly templateRepoName: string | undefined;
  readonly templateRepos: string;
  readonly sshUser: string;
  readonly sshPassword: string;
  readonly sshTries: number;
  /** Seconds, per connection attempt. */
  readonly sshTimeout: number;
  /** Which automatic snapshots are kept, where the environment's init file says nothing; default all. */
  readonly snapshotKeep?: SnapshotKeep;
  /** Before what a snapshot is taken automatically; default nothing. */
  readonly snapshotBefore?: readonly SnapshotBefore[];
  /** The store of synchronised package repositories; default `/var/lib/lago/reposync`. */
  readonly reposyncDir?: string;
  /** A file of package repositories, for environments whose init file names none. */
  readonly reposyncConfig?: string;
  readonly defaultVmType: string;
  readonly defaultVmProvider: string;
  readonly defaultRootPassword: string | undefined;
  /** Init file name of an export that gives none; default `LagoInitFile`. */
  readonly exportInitFileName?: string;
  /** When an export uses virt-sparsify; default `auto`: if it is installed and KVM is available. */
  readonly exportSparsify?: 'auto' | 'always' | 'never';
}
