import { z } from 'zod';
import { WireErrorSchema } from '../operation.ts';

/** At most so many names of packages are kept of one change. */
export const CHANGED_NAMES = 1000;

/** Packages and bytes that were received. */
const Fetched = z.object({ packages: z.number(), bytes: z.number() });

/** Names of packages: all of them are counted, the first `CHANGED_NAMES` are named. */
const NamedPackages = z.object({ count: z.number(), names: z.array(z.string()) });
export type NamedPackages = z.infer<typeof NamedPackages>;

/** A repository of dnf and yum, or a source of apt. */
export const RepoKind = z.enum(['rpm', 'deb']);
export type RepoKind = z.infer<typeof RepoKind>;

/** Where a repository is defined, so that it can be synchronised again. */
export const RepoOrigin = z.object({
  kind: RepoKind,
  /** A .repo file or apt sources; absolute path. */
  file: z.string(),
  /** Id of its section. */
  section: z.string(),
  /** Of its server, for people: without a login. */
  address: z.string(),
  /** What its variables stand for is found from these. */
  distros: z.array(z.string()),
  arch: z.string().optional(),
});
export type RepoOrigin = z.infer<typeof RepoOrigin>;

/** How a synchronisation ended. `incomplete`: some packages could not be had, the others are there. */
export const SyncOutcome = z.enum(['complete', 'incomplete', 'failed', 'cancelled']);
export type SyncOutcome = z.infer<typeof SyncOutcome>;

/** What synchronising a repository of the store last did, whichever program did it. Times are ms since the epoch. */
export const LastSync = z.object({
  origin: RepoOrigin,
  /** When the last one began; it is under way, or was killed, while `ended` is of an earlier one. */
  began: z.number(),
  /** The last one that ended; null before that. */
  ended: z
    .object({
      at: z.number(),
      outcome: SyncOutcome,
      fetched: Fetched,
      /** Why it failed; null when it did not. */
      error: WireErrorSchema.nullable(),
      /** Packages that could not be had, with the reason. */
      problems: z.object({ count: z.number(), first: z.array(z.string()) }),
    })
    .nullable(),
  /** The last time that packages came or went; null before that. */
  change: z.object({ at: z.number(), added: NamedPackages, removed: NamedPackages, fetched: Fetched }).nullable(),
});
export type LastSync = z.infer<typeof LastSync>;
