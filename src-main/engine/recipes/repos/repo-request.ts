/** Which files of package repositories are meant, and which of their sections. */
export interface RepoRequest {
  /** .repo files and apt sources, absolute. None: those of the environment, else the one that is configured (`reposync_config`). */
  readonly files: readonly string[];
  /** Distributions such as el9. None: those of the environment's VMs. */
  readonly distros: readonly string[];
  /** Ids of the sections to use. Absent: as the environment's init file says if its own files are meant, else by Lago's rule. */
  readonly sections?: readonly string[] | undefined;
}

/** Package repositories of a store. */
export interface StoredRequest extends RepoRequest {
  /** Folder of the store; default: the configured one (`reposync_dir`). */
  readonly store?: string | undefined;
}

export interface SyncRequest extends StoredRequest {
  /** Compare every file by its checksum, also those that nobody touched. */
  readonly verify?: boolean;
}

/** Repositories of the store that are to be synchronised once more. */
export interface StoredSyncRequest {
  /** Names of folders; none: all. */
  readonly names: readonly string[];
  /** As in `SyncRequest`. */
  readonly verify?: boolean;
}

/** What is to be removed from the store. */
export interface CleanRequest {
  /** Names of folders; none: every repository that no environment uses. */
  readonly names: readonly string[];
  /** Only say what would be removed. */
  readonly dryRun: boolean;
}
