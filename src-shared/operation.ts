import { z } from 'zod';
import { ERROR_CODES } from './errors.ts';
import { allVerbs } from './verbs.ts';

export const WireErrorSchema = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  hint: z.string().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

export const StepStatus = z.enum(['running', 'succeeded', 'failed', 'cancelled']);
export type StepStatus = z.infer<typeof StepStatus>;

/** One node of an operation's step tree. Times are milliseconds since the epoch; fractions are 0..1. */
export interface StepState {
  readonly id: string;
  readonly label: string;
  readonly status: StepStatus;
  readonly fraction: number;
  /** Current activity, such as "142 MiB of 300 MiB, 28 MiB/s". */
  readonly detail?: string | undefined;
  readonly startedAt: number;
  readonly endedAt?: number | undefined;
  readonly steps: readonly StepState[];
}
export const StepState: z.ZodType<StepState> = z.object({
  id: z.string(),
  label: z.string(),
  status: StepStatus,
  fraction: z.number().min(0).max(1),
  detail: z.string().optional(),
  startedAt: z.number(),
  endedAt: z.number().optional(),
  get steps() {
    return z.array(StepState);
  },
}) as unknown as z.ZodType<StepState>;

/** The kinds of long work: the verbs, and work that does not need an existing environment. */
export const OperationKind = z.enum([
  ...allVerbs().map((verb) => verb.kind),
  'create',
  'recover',
  'fork',
  'fetch',
  'verify',
  'evict',
  'repository',
  'export',
  'copy',
  'collect',
  'compare',
  'merge',
  'vm',
  'build',
  'plugin',
  'sync',
]);
export type OperationKind = z.infer<typeof OperationKind>;

/** Kinds that only use running VMs, or only read: everything else can go on meanwhile. */
const BESIDE: ReadonlySet<OperationKind> = new Set([
  'copy',
  'collect',
  'compare',
  'merge',
  'plugin',
  'sync',
  ...allVerbs().flatMap((verb) => (verb.exclusive === false ? [verb.kind] : [])),
]);

/** Whether no other work can begin on an environment while work of this kind is under way. */
export function isExclusive(kind: OperationKind): boolean {
  return !BESIDE.has(kind);
}

/** How many of an operation's last log lines are kept. */
export const OPERATION_LOG_LINES = 500;

/** A long piece of work as every front door sees it: a whole value, sent again at each change. */
export const OperationState = z.object({
  id: z.string(),
  kind: OperationKind,
  /** For people: "Create shop-cluster". */
  label: z.string(),
  /** uuid of its prefix; absent until it is known. */
  prefix: z.string().optional(),
  /** The requested template (a `fullName` from the library's list); absent for other work. */
  template: z.string().optional(),
  status: z.enum(['running', 'cancelling', 'succeeded', 'failed', 'cancelled']),
  /** Whether it is paused; absent on work that cannot be paused. `status` stays `running` while paused. */
  paused: z.boolean().optional(),
  /** ms since the epoch: when it acts by force (powers VMs off) unless it is done before; absent when it does not. */
  forceAt: z.number().optional(),
  fraction: z.number().min(0).max(1),
  startedAt: z.number(),
  endedAt: z.number().optional(),
  steps: z.array(StepState),
  /** How many lines were logged. The lines themselves are fetched when they are shown. */
  logLines: z.number(),
  error: WireErrorSchema.optional(),
  /** Sentences about its outcome, such as what has to wait for a VM's next start; absent when there are none. */
  notes: z.array(z.string()).optional(),
});
export type OperationState = z.infer<typeof OperationState>;
