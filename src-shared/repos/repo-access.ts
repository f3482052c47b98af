import { z } from 'zod';

/** How many of them a view begins with. */
export const REPO_ACCESSES_KEPT = 5000;

/** A request that the package server of an environment answered: a line of PREFIX/logs/repo-access.jsonl. */
export const RepoAccess = z.object({
  /** When it was answered, ISO 8601. */
  time: z.string(),
  client: z.string(),
  /** The VM with that address; null for any other client. */
  vm: z.string().nullable(),
  method: z.string(),
  path: z.string(),
  status: z.number(),
  /** Of the body. */
  bytes: z.number(),
  /** The part that was asked for, as the client wrote it. */
  range: z.string().nullable(),
  milliseconds: z.number(),
});
export type RepoAccess = z.infer<typeof RepoAccess>;
