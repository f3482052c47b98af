import type { VerbSpec } from './verb-table.ts';

/** A verb's input besides the environment, by kind. */
export interface VerbInputs {
  readonly nothing: Readonly<Record<never, never>>;
  /** Names of VMs; without any, all VMs. */
  readonly vms: { readonly vms?: readonly string[] | undefined };
  /** Name of a snapshot. */
  readonly snapshot: { readonly name: string };
  /** Snapshot to revert to, and a name under which to save the current state first. */
  readonly revert: { readonly name: string; readonly first?: string | undefined };
}
export type VerbInputKind = keyof VerbInputs;

export interface Verb<Kind extends string = string, Takes extends VerbInputKind = VerbInputKind> {
  /** Kind of its operation, purpose of its lock, and its name on the command line. */
  readonly kind: Kind;
  readonly takes: Takes;
  /** Label of its operation: "Start shop". */
  label(environment: string, input: VerbInputs[Takes]): string;
  /** Shown as the environment's status meanwhile. Only for work that changes VM states as intermediate steps. */
  readonly underWay?: string;
  /** Help for the command line. Without it, the command line has its own code for this verb, or none. */
  readonly command?: Pick<VerbSpec, 'summary' | 'description' | 'examples'>;
}

function verb<const Kind extends string, const Takes extends VerbInputKind>(spec: Verb<Kind, Takes>): Verb<Kind, Takes> {
  return spec;
}

/** The named VMs, or the whole environment. */
function vmsOr(environment: string, { vms = [] }: VerbInputs['vms']): string {
  return vms.length === 0 ? environment : vms.join(', ');
}

/**
 * Every verb that works on an existing environment, by noun and name. The engine's methods and operations, the contract's calls, the SDK's
 * methods and the command line's plain verbs are derived from this table. The implementations are in `engine/recipes/verbs.ts`.
 */
export const VERBS = {
  prefix: {
    start: verb({
      kind: 'start',
      takes: 'vms',
      label: (environment, input) => `Start ${vmsOr(environment, input)}`,
      underWay: 'starting…',
      command: {
        summary: 'Start networks and VMs',
        description:
          'Starts all networks and VMs, or the named VMs with the networks they need. What is already up is left alone. If one fails to start, everything that this command started is stopped again.',
        examples: [
          { line: 'start', does: 'Starts the whole environment.' },
          { line: 'start web db', does: 'Starts two VMs and their networks.' },
        ],
      },
    }),
    stop: verb({
      kind: 'stop',
      takes: 'vms',
      label: (environment, input) => `Stop ${vmsOr(environment, input)}`,
      underWay: 'stopping…',
      command: {
        summary: 'Power off VMs and take down networks',
        description: 'Powers off all VMs, or the named ones, and then takes down the networks that no running VM uses.',
        examples: [{ line: 'stop web', does: 'Powers off one VM.' }],
      },
    }),
    suspend: verb({
      kind: 'suspend',
      takes: 'vms',
      label: (environment, input) => `Suspend ${vmsOr(environment, input)}`,
      underWay: 'suspending…',
      command: {
        summary: 'Halt the processors of VMs; their memory stays',
        description:
          'Suspends all running VMs, or the named ones: they stand still and need no processor time, until "lago resume" or "lago start". Their memory stays in use, so they do not survive a reboot of this machine. If one fails, those that this command suspended go on.',
        examples: [
          { line: 'suspend', does: 'Lets the whole environment stand still.' },
          { line: 'suspend db', does: 'Suspends one VM.' },
        ],
      },
    }),
    resume: verb({
      kind: 'resume',
      takes: 'vms',
      label: (environment, input) => `Resume ${vmsOr(environment, input)}`,
      underWay: 'resuming…',
      command: {
        summary: 'Let suspended VMs go on',
        description: 'Resumes all suspended VMs, or the named ones. What runs already is left alone; VMs that are off stay off.',
        examples: [{ line: 'resume', does: 'Lets the whole environment go on.' }],
      },
    }),
    cleanup: verb({
      kind: 'cleanup',
      takes: 'nothing',
      label: (environment) => `Clean up ${environment}`,
      command: {
        summary: 'Stop everything and close the environment; its files stay',
        description: 'Powers off all VMs, takes down all networks and marks the environment as cleaned up. Files and leases stay.',
        examples: [{ line: 'cleanup', does: 'After it "lago destroy" removes the files.' }],
      },
    }),
    destroy: verb({
      kind: 'destroy',
      takes: 'nothing',
      label: (environment) => `Destroy ${environment}`,
      underWay: 'being destroyed…',
    }),
  },
  snapshot: {
    create: verb({
      kind: 'snapshot',
      takes: 'snapshot',
      label: (environment, { name }) => `Snapshot ${environment} as “${name}”`,
      underWay: 'taking a snapshot…',
    }),
    revert: verb({
      kind: 'revert',
      takes: 'revert',
      label: (environment, { name }) => `Revert ${environment} to “${name}”`,
      underWay: 'reverting…',
      command: {
        summary: 'Take all VMs back to a snapshot',
        description:
          'All VMs go back together. Those that were on run again, also those that were suspended. What happened since is lost; later snapshots stay.',
        examples: [{ line: 'revert clean', does: 'Forgets everything since that snapshot.' }],
      },
    }),
    remove: verb({
      kind: 'delete-snapshot',
      takes: 'snapshot',
      label: (environment, { name }) => `Delete snapshot “${name}” of ${environment}`,
    }),
  },
} as const;

export type Verbs = typeof VERBS;
export type VerbNoun = keyof Verbs;
/** The input of a noun's verb. */
export type VerbInput<Noun extends VerbNoun, Name extends keyof Verbs[Noun]> =
  Verbs[Noun][Name] extends Verb<string, infer Takes> ? VerbInputs[Takes] : never;
type KindOf<Noun extends VerbNoun> = Verbs[Noun][keyof Verbs[Noun]] extends Verb<infer Kind> ? Kind : never;
/** Operation kinds of all verbs. */
export type VerbKind = { [Noun in VerbNoun]: KindOf<Noun> }[VerbNoun];

/** A verb with its position in the table. */
export type NamedVerb = Verb<VerbKind> & { readonly noun: VerbNoun; readonly name: string };

/** All verbs in table order. */
export function allVerbs(): readonly NamedVerb[] {
  return (Object.keys(VERBS) as VerbNoun[]).flatMap((noun) =>
    (Object.entries(VERBS[noun]) as [string, Verb<VerbKind>][]).map(([name, spec]) => ({ noun, name, ...spec })),
  );
}

/** The verbs of a noun in their order. */
export function verbsOf(noun: VerbNoun): readonly NamedVerb[] {
  return allVerbs().filter((verb) => verb.noun === noun);
}
