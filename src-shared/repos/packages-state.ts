import { z } from 'zod';

/**
 * Who serves packages, which says when that ends: the window's engine with the window, a command with Ctrl-C, `deploy` with the scripts that
 * it runs, `environment` (`serve: true` in the init file) with the last VM.
 */
export const ServedBy = z.enum(['window', 'command', 'deploy', 'environment']);
export type ServedBy = z.infer<typeof ServedBy>;

/** A server of packages that answers. */
export const ServedState = z.object({
  /** `http://GATEWAY:PORT/`. */
  url: z.string(),
  /** What it serves, an absolute path. */
  folder: z.string(),
  by: ServedBy,
});
export type ServedState = z.infer<typeof ServedState>;

/** What an environment's state says of its packages. */
export const PackagesState = z.object({
  /** ms since the epoch at which the last merge was recorded; null when none was. */
  mergedAt: z.number().nullable(),
  /** Those of this process and of any other. */
  served: z.array(ServedState),
});
export type PackagesState = z.infer<typeof PackagesState>;
