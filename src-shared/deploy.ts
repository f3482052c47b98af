import { z } from 'zod';

/**
 * How far a deploy script is. `pending`: it has not run since it was last asked for, or never. `lost`: its VM stopped or could not be
 * reached. `interrupted`: the process that ran it was killed.
 */
export const ScriptStatus = z.enum(['pending', 'running', 'ok', 'failed', 'timed-out', 'cancelled', 'lost', 'interrupted']);
export type ScriptStatus = z.infer<typeof ScriptStatus>;

/** One deploy script of a VM, with its last run. Times are ms since the epoch. */
export const ScriptRun = z.object({
  name: z.string(),
  state: ScriptStatus,
  /** Exit status, or 128 + signal; null when it has none. */
  code: z.number().nullable(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
});
export type ScriptRun = z.infer<typeof ScriptRun>;

/** The deploy scripts of one VM in their order. */
export const VmDeploy = z.object({ vm: z.string(), scripts: z.array(ScriptRun) });
export type VmDeploy = z.infer<typeof VmDeploy>;

/** A piece of a script's output. */
export const DeployOutput = z.object({
  text: z.string(),
  /** Bytes left out before this piece: output is sent no faster than a view can show it. The log file has everything. */
  skipped: z.number(),
});
export type DeployOutput = z.infer<typeof DeployOutput>;
