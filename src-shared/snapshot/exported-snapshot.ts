import { z } from 'zod';

/** The file that makes a folder an exported snapshot. */
export const SNAPSHOT_MANIFEST = 'lago-snapshot.json';

/** What a folder with an exported snapshot says of itself. */
export const ExportedSnapshot = z.object({
  /** Name of the environment that it was taken of, and of the snapshot. */
  environment: z.string(),
  snapshot: z.string(),
  /** When it was taken, ms since the epoch. */
  createdAt: z.number(),
  /** VM → whether it goes on with its memory, or is off. */
  vms: z.record(z.string(), z.enum(['memory', 'disk'])),
});
export type ExportedSnapshot = z.infer<typeof ExportedSnapshot>;
