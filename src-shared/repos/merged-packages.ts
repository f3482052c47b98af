import { z } from 'zod';

/** A package of a merged repository. */
export const MergedPackage = z.object({
  name: z.string(),
  /** As rpm and dpkg write it, with epoch and release. */
  version: z.string(),
  arch: z.string(),
  size: z.number(),
  /** The source that it came from, as that was written; null when no merge has recorded it. */
  source: z.string().nullable(),
});
export type MergedPackage = z.infer<typeof MergedPackage>;

/** Two files that call themselves the same package, but differ. */
export const MergeConflict = z.object({ name: z.string(), kept: z.string(), leftOut: z.string() });
export type MergeConflict = z.infer<typeof MergeConflict>;

/** What the last merge into a place said. */
export const MergeReport = z.object({
  /** Folder of `lago repo merge --name`; null for the usual one. */
  name: z.string().nullable(),
  /** ms since the epoch. */
  at: z.number(),
  /** In the order in which they counted. `synced`: a synchronised repository, which only adds what is missing. */
  sources: z.array(z.object({ text: z.string(), synced: z.boolean() })),
  conflicts: z.array(MergeConflict),
  /** What a user should know: sentences. */
  problems: z.array(z.string()),
  /** Packages that were left out because there is a newer one. */
  older: z.number(),
  /** Packages that were left out by `only-missing`. */
  known: z.number(),
});
export type MergeReport = z.infer<typeof MergeReport>;

/** A repository that guests can be served. */
export const MergedRepo = z.object({
  /** Its folder below `internal_repo`: `DISTRO`, or `NAME/DISTRO`. */
  folder: z.string(),
  distro: z.string(),
  /** When it was merged, ms since the epoch; null when no merge has recorded it, as those of Lago. */
  at: z.number().nullable(),
  /** Sorted by name. */
  packages: z.array(MergedPackage),
});
export type MergedRepo = z.infer<typeof MergedRepo>;

/** A file that makes guests use a repository. */
export const RepoClient = z.object({
  /** Empty for a served folder that is a repository itself. */
  distro: z.string(),
  kind: z.enum(['rpm', 'deb']),
  /** Where it belongs in the guest. */
  path: z.string(),
  content: z.string(),
});
export type RepoClient = z.infer<typeof RepoClient>;

/** The packages that an environment has for its VMs. */
export const MergedPackages = z.object({
  reports: z.array(MergeReport),
  repos: z.array(MergedRepo),
  /** What the environment's init file says; null when it says nothing of package repositories. */
  declared: z
    .object({ files: z.array(z.string()), sources: z.array(z.string()), serve: z.boolean(), client: z.enum(['auto', 'none']) })
    .nullable(),
  /** Where they are served, or would be; null when they cannot be, for the reason that `problem` says. */
  url: z.string().nullable(),
  problem: z.string().nullable(),
  /** For guests, at that address. */
  clients: z.array(RepoClient),
});
export type MergedPackages = z.infer<typeof MergedPackages>;
