import type { VerbSpec } from './verb-table.ts';

/** Which deploy scripts to run, and how long each may take. */
export interface DeployInput {
  /** Names of VMs; without any, all that have scripts. */
  readonly vms?: readonly string[] | undefined;
  /**
   * Where to begin in each VM: at the script of this name (or the end of its name, or its number, counted from 1); VMs without it are left
   * out. `true`: at the first script that has not succeeded yet; VMs without one are left out.
   */
  readonly from?: string | true | undefined;
  /** Seconds for each script; by default there is no limit. */
  readonly timeout?: number | undefined;
}

/** A snapshot, and what to change of what is known of it; what is absent stays. */
export interface EditSnapshotInput {
  readonly name: string;
  /** Its name from then on. */
  readonly rename?: string | undefined;
  /** What its user writes about it; may have several lines. */
  readonly note?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly pinned?: boolean | undefined;
  /** Its files are right as they are now, although another program has changed them. */
  readonly accept?: boolean | undefined;
}

/** The snapshot to take. */
export interface TakeSnapshotInput {
  readonly name: string;
  /** Without memory: reverting to it leaves the VMs off. */
  readonly diskOnly?: boolean | undefined;
  /** With `diskOnly`: guests first write everything to their disks, by their agents. */
  readonly quiesce?: boolean | undefined;
}

/** A verb's input besides the environment, by kind. */
export interface VerbInputs {
  readonly nothing: Readonly<Record<never, never>>;
  /** Names of VMs; without any, all VMs. */
  readonly vms: { readonly vms?: readonly string[] | undefined };
  /** VMs as in `vms`; whether their guests reboot instead; seconds after which those that ignore it are powered off (or reset). */
  readonly shutdown: {
    readonly vms?: readonly string[] | undefined;
    readonly reboot?: boolean | undefined;
    readonly forceAfter?: number | undefined;
  };
  readonly takeSnapshot: TakeSnapshotInput;
  /** Name of a snapshot. */
  readonly snapshot: { readonly name: string };
  /** Snapshot to revert to, and a name under which to save the current state first. */
  readonly revert: { readonly name: string; readonly first?: string | undefined };
  readonly editSnapshot: EditSnapshotInput;
  /** The snapshots to delete: this one and everything that came from it; without it, all. Pinned ones stay, except the named one. */
  readonly pruneSnapshots: { readonly branch?: string | undefined };
  readonly deploy: DeployInput;
  /** Whether an environment on another machine that does not answer is only removed here. */
  readonly destroy: { readonly forget?: boolean | undefined };
}
export type VerbInputKind = keyof VerbInputs;

/** Seconds that `shutdown` gives guests, as in Lago. */
export const SHUTDOWN_SECONDS = 300;

export interface Verb<Kind extends string = string, Takes extends VerbInputKind = VerbInputKind> {
  /** Kind of its operation, purpose of its lock, and its name on the command line. */
  readonly kind: Kind;
  readonly takes: Takes;
  /** Label of its operation: "Start shop". */
  label(environment: string, input: VerbInputs[Takes]): string;
  /** Shown as the environment's status meanwhile. Only for work that changes VM states as intermediate steps. */
  readonly underWay?: string;
  /** `false` for work that does not take the prefix's write lock: it goes on beside other work, and blocks none. */
  readonly exclusive?: false;
  /** Help for the command line. Without it, the command line has its own code for this verb, or none. */
  readonly command?: Pick<VerbSpec, 'summary' | 'description' | 'examples'>;
}

function verb<const Kind extends string, const Takes extends VerbInputKind>(spec: Verb<Kind, Takes>): Verb<Kind, Takes> {
  return spec;
}

/** The named VMs, or the whole environment. */
function vmsOr(environment: string, { vms = [] }: { readonly vms?: readonly string[] | undefined }): string {
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
          'Starts all networks and VMs, or the named VMs with the networks they need. What is already up is left alone. Several VMs start at the same time, in the order of "start-after" in the init file; one after the other, with a warning, when their memory exceeds what this machine has left. If one fails to start, everything that this command started is stopped again.',
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
    shutdown: verb({
      kind: 'shutdown',
      takes: 'shutdown',
      label: (environment, input) => `${input.reboot === true ? 'Reboot' : 'Shut down'} ${vmsOr(environment, input)}`,
      underWay: 'shutting down…',
      command: {
        summary: 'Let guests shut down, then take down networks',
        description: `Asks the guests of all VMs, or of the named ones, to shut down: by guest agent, then ACPI, then ssh, until they obey. Waits until they are off, and then takes down the networks that no running VM uses, like "lago stop". VMs that are off are left alone; suspended ones are resumed first. Fails when a VM is still on after ${SHUTDOWN_SECONDS} s, unless --force is given.`,
        examples: [
          { line: 'shutdown', does: 'Shuts the whole environment down.' },
          { line: 'shutdown --force 60 web', does: 'Powers web off if it is still on after a minute.' },
          { line: 'shutdown --reboot db', does: 'The same as "lago reboot db".' },
        ],
      },
    }),
    reboot: verb({
      kind: 'reboot',
      takes: 'vms',
      label: (environment, input) => `Reboot ${vmsOr(environment, input)}`,
      underWay: 'rebooting…',
      command: {
        summary: 'Let guests reboot',
        description:
          'Asks the guests of all running VMs, or of the named ones, to reboot, in the same ways as "lago shutdown". Waits until each has begun to, not until it is up again. Suspended VMs are resumed first.',
        examples: [{ line: 'reboot web', does: 'Reboots one VM.' }],
      },
    }),
    reset: verb({
      kind: 'reset',
      takes: 'vms',
      label: (environment, input) => `Reset ${vmsOr(environment, input)}`,
      command: {
        summary: 'Reset VMs at once, without asking their guests',
        description:
          'Restarts all running VMs, or the named ones, as their reset button would: what guests have not written to their disks is lost. Suspended VMs run again after it.',
        examples: [{ line: 'reset web', does: 'Restarts a VM that hangs.' }],
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
    deploy: verb({
      kind: 'deploy',
      takes: 'deploy',
      label: (environment, input) => `Deploy ${vmsOr(environment, input)}`,
      exclusive: false,
      command: {
        summary: 'Run the deploy scripts of VMs',
        description:
          'Feeds the deploy-scripts of each VM to its bash (sh where there is none), in their order; VMs in parallel. Output is shown as it comes and kept in logs/deploy of the prefix. A script that fails ends the deploy of its VM; other VMs finish. Scripts get LAGO_VM_NAME, LAGO_VM_IP, LAGO_SCRIPT, LAGO_PREFIX_NAME, LAGO_PREFIX_UUID, LAGO_GATEWAY, LAGO_IP_VM for each VM and LAGO_NET_NETWORK for each network (docs/deploy.md).',
        examples: [
          { line: 'deploy', does: 'Runs all scripts of all VMs.' },
          { line: 'deploy --timeout 600 web', does: 'Runs those of one VM, each for ten minutes at most.' },
          { line: 'deploy --from', does: 'Goes on where the last deploy failed; finished VMs are left alone.' },
          { line: 'deploy --from setup.sh', does: 'Begins at that script in each VM that has it.' },
        ],
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
      takes: 'destroy',
      label: (environment) => `Destroy ${environment}`,
      underWay: 'being destroyed…',
    }),
  },
  snapshot: {
    create: verb({
      kind: 'snapshot',
      takes: 'takeSnapshot',
      label: (environment, { name }) => `Snapshot ${environment} as “${name}”`,
      underWay: 'taking a snapshot…',
    }),
    revert: verb({
      kind: 'revert',
      takes: 'revert',
      label: (environment, { name }) => `Revert ${environment} to “${name}”`,
      underWay: 'reverting…',
    }),
    remove: verb({
      kind: 'delete-snapshot',
      takes: 'snapshot',
      label: (environment, { name }) => `Delete snapshot “${name}” of ${environment}`,
    }),
    edit: verb({
      kind: 'edit-snapshot',
      takes: 'editSnapshot',
      label: (environment, { name, rename }) =>
        rename === undefined ? `Change snapshot “${name}” of ${environment}` : `Rename snapshot “${name}” of ${environment} to “${rename}”`,
    }),
    prune: verb({
      kind: 'prune-snapshots',
      takes: 'pruneSnapshots',
      label: (environment, { branch }) =>
        branch === undefined
          ? `Delete all snapshots of ${environment} that are not pinned`
          : `Delete snapshot “${branch}” of ${environment} and what came from it`,
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
