import { eventIterator, oc } from '@orpc/contract';
import { z } from 'zod';
import { CollectedChange, CollectedFile, Collection, FileRange, TextDiff } from './collection.ts';
import { DeployOutput } from './deploy.ts';
import { HostChoice } from './host/host-choice.ts';
import { Issue } from './issue.ts';
import { LiveNumbers } from './numbers.ts';
import { OperationState } from './operation.ts';
import { OutsidePath, Plan } from './plan.ts';
import { MergedPackages } from './repos/merged-packages.ts';
import { RepoExplanation } from './repos/package-repos.ts';
import { RepoAccess } from './repos/repo-access.ts';
import { RepoChanges, RepoStoreState } from './repos/repo-store-state.ts';
import { Changes } from './snapshot/changes.ts';
import { ExportedSnapshot } from './snapshot/exported-snapshot.ts';
import { RemovalChoice, RemovalPlan, RevertPlan } from './snapshot/snapshot-plans.ts';
import { MAX_FORKS } from './snapshot/timeline.ts';
import { ForwardState, LibraryState, MachineState, PrefixState } from './state.ts';
import { TerminalState } from './terminal.ts';
import { type VerbInputKind, type VerbInputs, type VerbNoun, type Verbs, verbsOf } from './verbs.ts';
import { VmChange } from './vm-change.ts';

/**
 * Events pushed to every front door, always as whole values. A new iterator first yields the current values (`prefixes`, `operations`,
 * `machine`, `library`, `repos`, `terminals`, `forwards`), then each change once.
 */
export const LiveEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('prefixes'), prefixes: z.array(PrefixState) }),
  z.object({ type: z.literal('prefix'), prefix: PrefixState }),
  z.object({ type: z.literal('prefix-gone'), id: z.string() }),
  z.object({ type: z.literal('operations'), operations: z.array(OperationState) }),
  z.object({ type: z.literal('operation'), operation: OperationState }),
  z.object({ type: z.literal('operation-gone'), id: z.string() }),
  z.object({ type: z.literal('machine'), machine: MachineState }),
  z.object({ type: z.literal('library'), library: LibraryState }),
  z.object({ type: z.literal('repos'), repos: RepoStoreState }),
  z.object({ type: z.literal('terminals'), terminals: z.array(TerminalState) }),
  z.object({ type: z.literal('forwards'), forwards: z.array(ForwardState) }),
]);
export type LiveEvent = z.infer<typeof LiveEvent>;

export const Sample = z.object({
  id: z.string(),
  title: z.string(),
  description: z.string(),
  path: z.string(),
  /** Proposed environment name. */
  name: z.string(),
});
export type Sample = z.infer<typeof Sample>;

export const Recent = z.object({ path: z.string(), name: z.string(), usedAt: z.number() });

/** What the plan preview shows before anything is created. */
export const Inspection = z.object({
  file: z.string(),
  /** Proposed environment name, free in the workdir. */
  name: z.string(),
  workdir: z.string(),
  issues: z.array(Issue),
  /** Files named by the init file that need the user's consent (`allowPaths`), including those that already have it. */
  outside: z.array(OutsidePath),
  /** Absent when errors prevent planning. */
  plan: Plan.optional(),
  /** Sum over all VMs, MiB. */
  memory: z.number(),
  /** Estimated bytes written at creation. */
  disk: z.number(),
});
export type Inspection = z.infer<typeof Inspection>;

const Prefix = z.object({ prefix: z.string() });
const Port = z.number().int().min(1).max(65_535);
const Started = z.object({ operation: z.string() });
/** Input schemas of the verbs, by kind of input; each verb also takes the environment. */
const INPUTS = {
  nothing: Prefix,
  vms: Prefix.extend({ vms: z.array(z.string()).optional() }),
  shutdown: Prefix.extend({
    vms: z.array(z.string()).optional(),
    reboot: z.boolean().optional(),
    forceAfter: z.number().min(0).max(86_400).optional(),
  }),
  takeSnapshot: Prefix.extend({ name: z.string(), diskOnly: z.boolean().optional(), quiesce: z.boolean().optional() }),
  snapshot: Prefix.extend({ name: z.string() }),
  revert: Prefix.extend({ name: z.string(), first: z.string().optional() }),
  editSnapshot: Prefix.extend({
    name: z.string(),
    rename: z.string().optional(),
    note: z.string().optional(),
    tags: z.array(z.string()).optional(),
    pinned: z.boolean().optional(),
    accept: z.boolean().optional(),
  }),
  pruneSnapshots: Prefix.extend({ branch: z.string().optional() }),
  deploy: Prefix.extend({
    vms: z.array(z.string()).optional(),
    from: z.union([z.string(), z.literal(true)]).optional(),
    timeout: z.number().optional(),
  }),
  destroy: Prefix.extend({ forget: z.boolean().optional() }),
} satisfies { readonly [Kind in VerbInputKind]: z.ZodType<VerbInputs[Kind]> };
const CALLS = {
  nothing: oc.input(INPUTS.nothing).output(Started),
  vms: oc.input(INPUTS.vms).output(Started),
  shutdown: oc.input(INPUTS.shutdown).output(Started),
  takeSnapshot: oc.input(INPUTS.takeSnapshot).output(Started),
  snapshot: oc.input(INPUTS.snapshot).output(Started),
  revert: oc.input(INPUTS.revert).output(Started),
  editSnapshot: oc.input(INPUTS.editSnapshot).output(Started),
  pruneSnapshots: oc.input(INPUTS.pruneSnapshots).output(Started),
  deploy: oc.input(INPUTS.deploy).output(Started),
  destroy: oc.input(INPUTS.destroy).output(Started),
};
/** The calls of a noun's verbs. */
type VerbCalls<Noun extends VerbNoun> = {
  readonly [Name in keyof Verbs[Noun]]: (typeof CALLS)[Verbs[Noun][Name] extends { takes: infer Takes extends VerbInputKind }
    ? Takes
    : never];
};
function callsOf<Noun extends VerbNoun>(noun: Noun): VerbCalls<Noun> {
  return Object.fromEntries(verbsOf(noun).map(({ name, takes }) => [name, CALLS[takes]])) as VerbCalls<Noun>;
}

const Compared = Prefix.extend({ vm: z.string(), from: z.string(), to: z.string().nullable() });
const CollectedPath = Prefix.extend({ collection: z.string(), path: z.string() });
const Copy = Prefix.extend({ vm: z.string(), local: z.string().startsWith('/'), remote: z.string() });

/** Which sections of .repo files and apt sources; without files, distributions or sections: as the environment says. */
const RepoRequest = z.object({
  prefix: z.string().optional(),
  files: z.array(z.string().startsWith('/')).max(100).default([]),
  distros: z.array(z.string()).max(100).default([]),
  sections: z.array(z.string()).max(1000).optional(),
});
/** Names of repositories in the store. */
const RepoNames = z.array(z.string().min(1)).max(10_000);
/** An absolute path or pattern, or an address: there is no folder that others could be relative to. */
const MergeSourceText = z
  .string()
  .max(4096)
  .regex(/^(\/|(https?|file):\/\/)/);

/** Files outside the init file's folder that the user has allowed. */
const AllowPaths = z.array(z.string().startsWith('/')).max(1000).default([]);

/**
 * The one table of calls between a front door and the engine. Every input is validated before a handler sees it. Calls that start long
 * work return the operation's id at once; the result arrives on `live`. Errors are `EngineError`s: the oRPC error carries
 * `data: WireError`.
 */
export const contract = {
  live: oc.output(eventIterator(LiveEvent)),
  app: {
    info: oc.output(
      z.object({
        version: z.string(),
        samples: z.array(Sample),
        recent: z.array(Recent),
        workdir: z.string(),
        /** File to open at start (`npm start -- FILE`). */
        open: z.string().nullable(),
      }),
    ),
    /** Answers the question asked when the window is closed while operations run. */
    leave: oc.input(z.object({ choice: z.enum(['keep', 'cancel', 'stay']) })).output(z.object({ left: z.boolean() })),
  },
  initFile: {
    /** `text` replaces the file's saved content; relative paths in it are still resolved against the folder of `path`. */
    inspect: oc
      .input(z.object({ path: z.string(), text: z.string().optional(), host: HostChoice.optional(), allowPaths: AllowPaths }))
      .output(Inspection),
    /** Yields once when watching has begun, then each time the file is saved, replaced or removed. */
    changes: oc.input(z.object({ path: z.string() })).output(eventIterator(z.object({}))),
  },
  prefix: {
    create: oc
      .input(
        z.object({
          initFile: z.string(),
          workdir: z.string(),
          name: z.string(),
          start: z.boolean(),
          host: HostChoice,
          allowPaths: AllowPaths,
        }),
      )
      .output(Started),
    ...callsOf('prefix'),
    /**
     * Output of a VM's deploy script (counted from 0) in its last run: the end of what there is, then what comes. Ends with the script.
     */
    deployOutput: oc.input(Prefix.extend({ vm: z.string(), script: z.number().int().min(0) })).output(eventIterator(DeployOutput)),
    /**
     * Operation of kind `fork`: an environment beside this one that goes on from a snapshot of it, or from its present; with `count`
     * several of the same moment: `NAME-1`, `NAME-2`…
     */
    fork: oc
      .input(
        Prefix.extend({
          name: z.string().min(1),
          snapshot: z.string().optional(),
          count: z.number().int().min(1).max(MAX_FORKS).optional(),
        }),
      )
      .output(Started),
    /** Operation of kind `export`: writes disks and an init file to a folder (absolute path) without such files. All VMs must be off. */
    export: oc
      .input(Prefix.extend({ destination: z.string().startsWith('/'), standalone: z.boolean(), compress: z.boolean() }))
      .output(Started),
    /** Operation of kind `export`: writes a snapshot to a new or empty folder (absolute path), from which it goes on elsewhere. */
    exportSnapshot: oc.input(Prefix.extend({ snapshot: z.string(), destination: z.string().startsWith('/') })).output(Started),
    /** What such a folder has; null for any other path. */
    exportedSnapshot: oc.input(z.object({ path: z.string().startsWith('/') })).output(z.object({ exported: ExportedSnapshot.nullable() })),
    /** Operation of kind `create`: an environment that goes on from such a folder. */
    resumeExported: oc.input(z.object({ folder: z.string().startsWith('/'), workdir: z.string(), name: z.string() })).output(Started),
    /** Operation of kind `collect`: fetches the artifacts of the named VMs, or of all, into the environment. */
    collect: oc.input(Prefix.extend({ vms: z.array(z.string()).optional() })).output(Started),
    /** Adds environments that are already on disk (a prefix or a workdir) to the list. */
    open: oc.input(z.object({ path: z.string() })).output(z.object({ prefixes: z.array(z.string()) })),
    /** What its running VMs use, about once a second; the hypervisor is asked only meanwhile. */
    numbers: oc.input(Prefix).output(eventIterator(LiveNumbers)),
    /** Removes an environment from the list; its files stay. */
    forget: oc.input(Prefix).output(z.object({})),
  },
  snapshot: {
    ...callsOf('snapshot'),
    /** Operation of kind `compare`: reads what changed on a VM's disks between a snapshot and another one, or the present (null). */
    compare: oc.input(Compared).output(Started),
    /** The last result of `compare`, if these are still the same points; of the present it is as of its `readAt`. */
    changes: oc.input(Compared).output(z.object({ changes: Changes.nullable() })),
    /** How the text of a file differs that is in this result. Takes seconds. */
    changedText: oc.input(Compared.extend({ path: z.string() })).output(TextDiff),
    /** What deleting snapshots would do. Changes nothing. */
    removalPlan: oc.input(z.intersection(Prefix, RemovalChoice)).output(RemovalPlan),
    /** What reverting to a snapshot would do. Changes nothing. */
    revertPlan: oc.input(Prefix.extend({ name: z.string() })).output(RevertPlan),
  },
  /** What was collected. `path` is relative to the collection; links in it are not followed. */
  collection: {
    list: oc.input(Prefix).output(z.object({ collections: z.array(Collection) })),
    files: oc.input(CollectedPath).output(z.object({ files: z.array(CollectedFile) })),
    /** At most `MAX_FILE_RANGE` bytes, fewer at the end of the file. */
    read: oc.input(CollectedPath.extend({ from: z.number().int().min(0), length: z.number().int().min(0) })).output(FileRange),
    compare: oc.input(Prefix.extend({ before: z.string(), after: z.string() })).output(z.object({ changes: z.array(CollectedChange) })),
    /** How a text file that is in both differs. */
    diff: oc.input(Prefix.extend({ before: z.string(), after: z.string(), path: z.string() })).output(TextDiff),
    /** Operation of kind `copy`: a file or folder, or all without a path, to exactly this path of this machine. */
    save: oc.input(CollectedPath.extend({ destination: z.string().startsWith('/') })).output(Started),
    /** Shows a file or folder in the system's file manager. Nothing of a collection is ever opened or run: guests have made it. */
    show: oc.input(CollectedPath).output(z.object({})),
    remove: oc.input(Prefix.extend({ collection: z.string() })).output(z.object({})),
  },
  vm: {
    /** A command line that logs in to the VM from a shell on this machine, through `lago forward`. */
    sshCommand: oc.input(Prefix.extend({ vm: z.string() })).output(z.object({ command: z.string() })),
    /** The password in the definition, null if it has none. No state contains it; front doors ask for it when they show it. */
    rootPassword: oc.input(Prefix.extend({ vm: z.string() })).output(z.object({ password: z.union([z.string(), z.number()]).nullable() })),
    /** Operations of kind `copy`, between a path of this machine (absolute) and one in the VM, like `scp -r`. */
    copyTo: oc.input(Copy).output(Started),
    copyFrom: oc.input(Copy).output(Started),
    /** Operation of kind `vm`: changes devices or memory, now and for later starts. */
    change: oc.input(Prefix.extend({ vm: z.string(), change: VmChange })).output(Started),
  },
  forward: {
    /** Opens a port on 127.0.0.1 that leads to the VM's port; it appears in `forwards`. `localPort`: see `Vms.forward`. */
    open: oc.input(Prefix.extend({ vm: z.string(), port: Port, localPort: Port.optional() })).output(z.object({ localPort: Port })),
    /** Ends it and its connections. */
    close: oc.input(z.object({ forward: z.string() })).output(z.object({})),
  },
  terminal: {
    /**
     * Opens a byte stream to a VM and returns its id, to which the front door then attaches (a MessagePort in Electron).
     * Unattached streams are closed after 30 s. `ssh` and `serial` belong to a session of the engine that outlives the page: `session` is
     * the id of an existing one, whose stream begins with what draws its screen and history, or of a new one. Sessions connect by
     * themselves and show in the stream what they wait for. A session has one page at a time.
     */
    open: oc
      .input(
        Prefix.extend({
          vm: z.string(),
          kind: z.enum(['ssh', 'serial', 'screen']),
          session: z.string().min(1).max(100),
          columns: z.number().int().min(2).max(1000).default(80),
          rows: z.number().int().min(2).max(1000).default(24),
        }),
      )
      .output(z.object({ stream: z.string() })),
    /** Ends a session. */
    close: oc.input(z.object({ session: z.string() })).output(z.object({})),
    resize: oc
      .input(z.object({ stream: z.string(), columns: z.number().int().min(2).max(1000), rows: z.number().int().min(2).max(1000) }))
      .output(z.object({})),
  },
  operation: {
    cancel: oc.input(z.object({ operation: z.string() })).output(z.object({})),
    /** Only for operations whose state has `paused`: closes the connection and keeps what was received. Does nothing to others. */
    pause: oc.input(z.object({ operation: z.string() })).output(z.object({})),
    resume: oc.input(z.object({ operation: z.string() })).output(z.object({})),
    /** Only for operations whose state has `forceAt`: they act by force now. Does nothing to others. */
    hurry: oc.input(z.object({ operation: z.string() })).output(z.object({})),
    /** Yields the kept lines of its log (`OPERATION_LOG_LINES`), then each new one. Ends with the operation. */
    log: oc.input(z.object({ operation: z.string() })).output(eventIterator(z.array(z.string()))),
    /** Removes a finished operation from the list. */
    dismiss: oc.input(z.object({ operation: z.string() })).output(z.object({})),
  },
  /** `template` is a `fullName` of the library, or TEMPLATE or TEMPLATE:VERSION as in an init file. */
  library: {
    /** Operation of kind `fetch`; can be paused. Ends at once when the template is in the store. */
    fetch: oc.input(z.object({ template: z.string() })).output(Started),
    /** Operation of kind `verify`: rereads the image and compares its checksums; fails with `remote.hash-mismatch`. */
    verify: oc.input(z.object({ template: z.string() })).output(Started),
    /** Operation of kind `evict`; fails with `conflict.locked`, naming the environments, when the template is in use. */
    evict: oc.input(z.object({ template: z.string() })).output(Started),
    /** Operation of kind `evict`: removes all templates that no environment uses and that were last used at least that many days ago. */
    evictUnused: oc.input(z.object({ olderThanDays: z.number().min(0).default(0) })).output(Started),
    /** Operation of kind `repository`: clones a git repository with repository JSON files. */
    addRepository: oc.input(z.object({ url: z.string().min(1) })).output(Started),
    /** Operation of kind `repository`: updates all added repositories. */
    updateRepositories: oc.output(Started),
  },
  repos: {
    /** Which sections are used, and why. */
    explain: oc.input(RepoRequest).output(RepoExplanation),
    /** Operation of kind `sync`; can be paused. Brings the sections that are used into the store. */
    sync: oc.input(RepoRequest.extend({ verify: z.boolean().default(false) })).output(Started),
    /** Operation of kind `sync`; can be paused. Does it again for repositories of the store; all without names. */
    syncStored: oc.input(z.object({ names: RepoNames.default([]), verify: z.boolean().default(false) })).output(Started),
    /** What removing all that no environment uses would remove. Changes nothing. */
    unused: oc.output(z.object({ repos: z.array(z.object({ name: z.string(), size: z.number() })) })),
    /** Operation of kind `evict`; fails with `conflict.locked`, naming the environments, when one is in use. */
    remove: oc.input(z.object({ names: RepoNames.min(1) })).output(Started),
    /** Which packages last came and went, and which could not be had. */
    changes: oc.input(z.object({ name: z.string() })).output(RepoChanges),
    /** Shows its folder in the system's file manager. */
    show: oc.input(z.object({ name: z.string() })).output(z.object({})),
    /**
     * Operation of kind `merge`. `sources` are merged in place of those of the init file: addresses, absolute paths and patterns, each perhaps
     * with a rule. What was synchronised of its repositories adds what they do not have. `distros`: in place of those of its VMs.
     */
    merge: oc
      .input(
        Prefix.extend({
          sources: z.array(MergeSourceText).max(1000).default([]),
          distros: z.array(z.string().min(1)).max(100).default([]),
        }),
      )
      .output(Started),
    /** What was merged, also by other processes. */
    merged: oc.input(Prefix).output(MergedPackages),
    /** Serves the merged packages to the VMs until `stopServing`, or until the environment is stopped or the program ends. */
    serve: oc.input(Prefix).output(z.object({ url: z.string() })),
    /** Ends every server of the environment's packages, but those that run for a deploy. */
    stopServing: oc.input(Prefix).output(z.object({})),
    /** Who fetched what: the last `REPO_ACCESSES_KEPT`, then what comes, also from servers of other processes. */
    accesses: oc.input(Prefix).output(eventIterator(z.array(RepoAccess))),
  },
  machine: {
    /** Runs the host checks again; the result arrives as a `machine` event. */
    check: oc.output(z.object({})),
  },
};
export type Contract = typeof contract;
