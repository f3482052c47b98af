import type { StoredRequest } from './repo-request.ts';

export interface MergePackagesRequest {
  /**
   * Folders, files, globs, addresses, each perhaps with a rule: see `repos/merge/source.ts`. The first ones come first. Without any: those of
   * the init file, and what was synchronised of its repositories.
   */
  readonly sources: readonly string[];
  /** Synchronised repositories that add what the sources do not have. */
  readonly synced?: StoredRequest | undefined;
  /** Those of the init file do so too, beside sources that are named. */
  readonly ownSynced?: boolean;
  /** What relative paths of sources are relative to. */
  readonly folder: string;
  /** Default: those of the environment's VMs. */
  readonly distros?: readonly string[] | undefined;
  /** A folder of its own, `internal_repo/NAME/DISTRO`. */
  readonly name?: string | undefined;
  /** A configuration file of repoman; absolute path. */
  readonly repomanConfig?: string | undefined;
  /** Options of repoman, `NAME=VALUE`, which win over the file's. */
  readonly options?: readonly string[] | undefined;
}
