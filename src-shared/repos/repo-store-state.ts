import { z } from 'zod';
import { LastSync, RepoKind, SyncOutcome } from './last-sync.ts';

/** Label of the step that synchronises a repository, by which its row finds it. */
export function syncStepLabel(id: string): string {
  return `Synchronise ${id}`;
}

/** A synchronised package repository. Times are ms since the epoch; sizes are bytes. */
export const StoredRepoState = z.object({
  /** Name of its folder in the store: the id, or `ID~HASH8` for one with other servers or filters. The calls take it. */
  name: z.string(),
  id: z.string(),
  path: z.string(),
  /** Null when it was synchronised before that was kept. */
  kind: RepoKind.nullable(),
  /** By Lago's rule: the part of the id after the last `-`; null without one. */
  distro: z.string().nullable(),
  /** Its address. */
  source: z.string(),
  packages: z.number(),
  size: z.number(),
  /** When it was last compared with its server; null while its first synchronisation is not finished. */
  syncedAt: z.number().nullable(),
  /** Where it is defined; null when that is not known, so that it can only be synchronised from a file. */
  origin: z.object({ file: z.string(), section: z.string(), missing: z.boolean() }).nullable(),
  /** How the last synchronisation ended, whichever program did it; null before that. */
  last: z
    .object({
      at: z.number(),
      outcome: SyncOutcome,
      fetched: z.object({ packages: z.number(), bytes: z.number() }),
      error: z.object({ message: z.string(), hint: z.string().nullable() }).nullable(),
      /** How many packages could not be had. */
      problems: z.number(),
    })
    .nullable(),
  /** Whether the last one was killed before it ended. */
  interrupted: z.boolean(),
  /** How many packages came and went when last any did; null before that. */
  change: z.object({ at: z.number(), added: z.number(), removed: z.number(), bytes: z.number() }).nullable(),
  usedBy: z.array(z.object({ name: z.string(), path: z.string() })),
  /** Id of the operation that is synchronising or removing it. */
  operation: z.string().nullable(),
  /** What another program does with it now, such as "repo sync (pid 4711, since 12 s)"; null when none does. */
  elsewhere: z.string().nullable(),
});
export type StoredRepoState = z.infer<typeof StoredRepoState>;

/** Everything that the page of package repositories shows: a whole value, sent again at each change. Reading it contacts no server. */
export const RepoStoreState = z.object({
  /** Path of the store. */
  store: z.string(),
  /** Why the other fields are out of date, one sentence. */
  problem: z.string().nullable(),
  /** Total bytes of its packages. */
  size: z.number(),
  /** Bytes of repositories that no environment uses. */
  unused: z.number(),
  repos: z.array(StoredRepoState),
});
export type RepoStoreState = z.infer<typeof RepoStoreState>;

/** What the page fetches when a repository is unfolded. */
export const RepoChanges = LastSync.pick({ ended: true, change: true });
export type RepoChanges = z.infer<typeof RepoChanges>;
