/** Which files of package repositories are meant, and which of their sections. */
export interface RepoRequest {
  /** .repo files and apt sources, absolute. None: those of the environment, else the one that is configured (`reposync_config`). */
  readonly files: readonly string[];
  /** Distributions such as el9. None: those of the environment's VMs. */
  readonly distros: readonly string[];
  /** Ids of the sections to use. Absent: as the environment's init file says if its own files are meant, else by Lago's rule. */
  readonly sections?: readonly string[] | undefined;
}
