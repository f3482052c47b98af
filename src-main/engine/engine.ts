import type { Duplex } from 'node:stream';
import type { BootState } from '../../src-shared/boot.ts';
import type { CollectedChange, CollectedFile, Collection, FileRange, TextDiff } from '../../src-shared/collection.ts';
import type { Inspection, LiveEvent, Sample } from '../../src-shared/contract.ts';
import type { DeployOutput } from '../../src-shared/deploy.ts';
import type { HostChoice } from '../../src-shared/host/host-choice.ts';
import type { LiveNumbers } from '../../src-shared/numbers.ts';
import type { MergedPackages } from '../../src-shared/repos/merged-packages.ts';
import type { RepoExplanation } from '../../src-shared/repos/package-repos.ts';
import type { RepoAccess } from '../../src-shared/repos/repo-access.ts';
import type { RepoChanges } from '../../src-shared/repos/repo-store-state.ts';
import type { Changes } from '../../src-shared/snapshot/changes.ts';
import type { ExportedSnapshot } from '../../src-shared/snapshot/exported-snapshot.ts';
import type { RemovalChoice, RemovalPlan, RevertPlan } from '../../src-shared/snapshot/snapshot-plans.ts';
import type { HostCheck, LibraryState, PrefixState } from '../../src-shared/state.ts';
import type { TerminalState } from '../../src-shared/terminal.ts';
import type { VerbInput, VerbNoun, Verbs } from '../../src-shared/verbs.ts';
import type { VmChange, VmChanged } from '../../src-shared/vm-change.ts';
import type { CopyRequest, CopyResult } from './copy/copy-request.ts';
import type { Operation, OperationEvent } from './core/operation.ts';
import type { CreateRequest } from './create/create-request.ts';
import type { BuildRequest, BuiltTemplate } from './export/build-request.ts';
import type { ExportRequest, ExportResult } from './export/export-request.ts';
import type { GuestService } from './guest/services.ts';
import type { ExecResult } from './guest/ssh.ts';
import type { Processor } from './libvirt/xml/processor.ts';
import type { CollectRequest } from './recipes/collect/collect-request.ts';
import type { CompareRequest } from './recipes/compare/compare-request.ts';
import type { ForkRequest } from './recipes/fork/fork-request.ts';
import type { ResumeRequest, SnapshotExportRequest, SnapshotExportResult } from './recipes/portable/portable-request.ts';
import type { MergePackagesRequest } from './recipes/repos/merge-request.ts';
import type { CleanRequest, RepoRequest, StoredSyncRequest, SyncRequest } from './recipes/repos/repo-request.ts';
import type { ServedPackages, ServeRequest } from './recipes/repos/serve-request.ts';
import type { MergeResult } from './repos/merge/merge.ts';
import type { StoredRepo } from './repos/store/stored.ts';
import type { SyncResult } from './repos/sync-result.ts';
import type { Forward, ForwardRequest } from './runtime/forward-request.ts';
import type { ConsoleOptions, ExecRequest, ShellRequest, ShellSession } from './runtime/shell-request.ts';

export interface ActionOptions {
  readonly signal?: AbortSignal | undefined;
  /** Attached before the work begins. */
  readonly onEvent?: (event: OperationEvent) => void;
}

/** The verbs of a noun as methods. They reject with the errors of their recipes (`recipes/`). */
export type VerbMethods<Noun extends VerbNoun> = {
  readonly [Name in keyof Verbs[Noun]]: (prefix: string, input: VerbInput<Noun, Name>, options?: ActionOptions) => Operation<void>;
};

/**
 * The engine, used in process by every front door, with its calls grouped like the contract's. All long work returns an `Operation` that
 * has already begun. `prefix` is a prefix path as returned by `resolvePrefix`. Rejections are `EngineError`s.
 */
export interface Engine extends AsyncDisposable {
  readonly workdir: string;
  readonly initFile: InitFiles;
  readonly prefix: Prefixes;
  readonly snapshot: Snapshots;
  readonly vm: Vms;
  readonly terminal: Terminals;
  readonly collection: Collections;
  readonly operation: Operations;
  readonly library: Library;
  readonly repos: Repos;
  readonly machine: Machine;
  /** Current values first, then each change. Ends on abort. */
  live(signal: AbortSignal): AsyncIterableIterator<LiveEvent>;
}

/** Questions about init files before anything is created. */
export interface InitFiles {
  /** The sample environments shipped with the program. */
  samples(): Promise<readonly Sample[]>;
  /** Reads an init file and reports what it would create. Changes nothing. */
  inspect(path: string, options?: InspectOptions): Promise<Inspection>;
}

export interface InspectOptions {
  /** Replaces the file's saved content; names in it are still relative to the path's folder. */
  readonly text?: string | undefined;
  readonly workdir?: string;
  readonly name?: string;
  readonly host?: HostChoice | undefined;
  /** As in `CreateRequest`. */
  readonly allowPaths?: readonly string[] | undefined;
}

/** Environments: the verbs of `src-shared/verbs.ts`, and calls that are not a verb on one existing environment. */
export interface Prefixes extends VerbMethods<'prefix'> {
  create(request: CreateRequest, options?: ActionOptions): Operation<PrefixState>;
  /** Makes environments that go on from a snapshot of this one, or from its present; see `recipes/fork/fork.ts`. */
  fork(prefix: string, request: ForkRequest, options?: ActionOptions): Operation<readonly PrefixState[]>;
  /** Writes the disks of VMs that are off, and an init file that recreates them elsewhere; see `export/export.ts`. */
  export(prefix: string, request: ExportRequest, options?: ActionOptions): Operation<ExportResult>;
  /** Writes a snapshot to a folder from which it goes on elsewhere; see `recipes/portable/export-snapshot.ts`. */
  exportSnapshot(prefix: string, request: SnapshotExportRequest, options?: ActionOptions): Operation<SnapshotExportResult>;
  /** Creates an environment that goes on from such a folder; see `recipes/portable/resume.ts`. */
  resumeExported(request: ResumeRequest, options?: ActionOptions): Operation<PrefixState>;
  /** What such a folder has; undefined for any other path. `input.invalid` for one that is damaged or of a newer version. */
  exportedSnapshot(path: string): Promise<ExportedSnapshot | undefined>;
  /** Fetches the artifacts of all VMs, or of the named ones; see `recipes/collect/collect.ts`. Does not take the environment's lock. */
  collect(prefix: string, request: CollectRequest, options?: ActionOptions): Operation<Collection>;
  /** VM → paths of the disks that an export would read. Creates nothing. */
  exportedDisks(prefix: string, vms: readonly string[]): Promise<Record<string, readonly string[]>>;
  /**
   * Output of the last run of a VM's deploy script (counted from 0): the end of what there is, then what comes, also from other processes.
   * Ends with the script, and on abort.
   */
  deployOutput(prefix: string, vm: string, script: number, signal: AbortSignal): AsyncIterableIterator<DeployOutput>;
  /** The current state, read from disk and, if it is up, from its host. Takes no lock, starts nothing. */
  status(prefix: string): Promise<PrefixState>;
  /** What its running VMs use, about once a second until abort; libvirt is asked only meanwhile. */
  numbers(prefix: string, signal: AbortSignal): AsyncIterableIterator<LiveNumbers>;
  /** Adds environments found at a path (prefix or workdir) to the list; returns their ids. */
  open(path: string): Promise<readonly string[]>;
  forget(id: string): Promise<void>;
  /** Path of a known environment, `prefix.missing` otherwise. */
  pathOf(id: string): string;
  recent(): Promise<readonly { readonly path: string; readonly name: string; readonly usedAt: number }[]>;
}

export interface Snapshots extends VerbMethods<'snapshot'> {
  /** VM → snapshot name → disk specs, as Lago's `snapshot --list` prints. */
  list(prefix: string): Promise<Record<string, Record<string, unknown[]>>>;
  /** Reads what changed on the disks of a VM between two points; see `recipes/compare/compare.ts`. Does not take the environment's lock. */
  compare(prefix: string, request: CompareRequest, options?: ActionOptions): Operation<Changes>;
  /** The last result of `compare`; of the present it is as of its `readAt`. Null when there is none. */
  changes(prefix: string, request: CompareRequest): Promise<Changes | null>;
  /** How the text of a file differs that `compare` found to have changed; takes seconds. `input.missing-file` for any other path. */
  changedText(prefix: string, request: CompareRequest, path: string, signal?: AbortSignal): Promise<TextDiff>;
  /** What deleting snapshots would do; see `snapshot/removal-plan.ts`. Takes no lock, changes nothing. */
  removalPlan(prefix: string, what: RemovalChoice): Promise<RemovalPlan>;
  /** What reverting to a snapshot would do; see `snapshot/revert-plan.ts`. Takes no lock, changes nothing. */
  revertPlan(prefix: string, name: string): Promise<RevertPlan>;
}

/** Access to VMs. `vm.missing` for a name that the environment does not have. */
export interface Vms {
  /** Waits for ssh (up to the VM's boot time) and opens a session. `vm.not-running`, `guest.unreachable`. */
  shell(prefix: string, request: ShellRequest): Promise<ShellSession>;
  /**
   * Runs a command by ssh and waits for its end; waits for ssh as `shell` does. A code other than 0 is a result, not an error. Rejects like
   * `shell`, and with `guest.unreachable` when the VM is lost meanwhile.
   */
  exec(prefix: string, request: ExecRequest): Promise<ExecResult>;
  /**
   * A service of a VM, through the provider named in its definition, else the first one that the guest has (detected once per engine).
   * `input.invalid` for an invalid service name or an unknown provider.
   */
  service(prefix: string, vm: string, name: string, signal?: AbortSignal): Promise<GuestService>;
  /**
   * Copies a file or directory into a VM, or out of it, like `scp -r`: see `copy/copy.ts`. Does not take the environment's lock. Waits for
   * ssh as `shell` does.
   */
  copyTo(prefix: string, request: CopyRequest, options?: ActionOptions): Operation<CopyResult>;
  copyFrom(prefix: string, request: CopyRequest, options?: ActionOptions): Operation<CopyResult>;
  /**
   * How far the named VMs (all without names) have booted and why not further, from what can be found out within seconds; null for a VM
   * that does not run on libvirt now. Takes no lock, changes nothing.
   */
  boot(prefix: string, vms: readonly string[], signal?: AbortSignal): Promise<Readonly<Record<string, BootState | null>>>;
  /** Changes devices or memory of a VM, now and for later starts; see `recipes/change-vm/change-vm.ts`. */
  change(prefix: string, vm: string, change: VmChange, options?: ActionOptions): Operation<VmChanged>;
  /**
   * The serial console, shared with the terminals of this process and taken from any other. Fails when the VM stops, and with
   * `conflict.taken` when another program takes it.
   */
  console(prefix: string, vm: string, options?: ConsoleOptions): Promise<Duplex>;
  /** RFB bytes of the VM's screen. */
  screen(prefix: string, vm: string, signal?: AbortSignal): Promise<Duplex>;
  /**
   * Opens a port on 127.0.0.1 that leads to a port of the VM, until it is disposed, the engine is closed, or the environment is removed.
   * Without `localPort` it is the same port, or a free one. The VM need not run. `conflict.locked` for a port that is taken.
   */
  forward(prefix: string, request: ForwardRequest): Promise<Forward>;
  /** Ends a forward; does nothing to one that has ended. */
  closeForward(id: string): Promise<void>;
  /** A stream to a port of a running VM. `vm.not-running`, `guest.unreachable`. */
  connect(prefix: string, vm: string, port: number, signal?: AbortSignal): Promise<Duplex>;
  /** A stream to a port of another machine that a running VM reaches, over the VM's ssh. Rejects like `shell`. */
  connectFrom(
    prefix: string,
    way: { readonly vm: string; readonly host: string; readonly port: number },
    signal?: AbortSignal,
  ): Promise<Duplex>;
  /**
   * The processor that a VM's guest sees: the model that its definition names, else that of the machine under it. `not-available` when
   * libvirt does not run the VM, or does not know the machine's model; `vm.not-running` when libvirt has to be asked and there is none.
   */
  processor(prefix: string, vm: string, signal?: AbortSignal): Promise<Processor>;
  /** A command line that logs in to the VM from a shell on this machine. */
  sshCommand(prefix: string, vm: string): Promise<string>;
  /** VM → root's password at creation, null when it has none. Not part of any state: requested only when it is to be shown. */
  rootPasswords(prefix: string): Promise<Readonly<Record<string, string | number | null>>>;
}

export interface TerminalRequest {
  /** Id of the session to attach to, or of a new one. */
  readonly session: string;
  /** Id of the environment. */
  readonly prefix: string;
  readonly vm: string;
  readonly kind: TerminalState['kind'];
  readonly columns: number;
  readonly rows: number;
}

/** Terminals that outlive the page that shows them. */
export interface Terminals {
  /** Attaches to a session, opening it first if it is new; see `terminals/terminals.ts`. */
  open(request: TerminalRequest): Promise<{ readonly stream: Duplex; readonly resize: (columns: number, rows: number) => void }>;
  /** Ends a session. */
  close(session: string): void;
  states(): readonly TerminalState[];
}

/** What was collected from an environment. A `path` is relative to the collection, `/` between its parts; links in it are not followed. */
export interface Collections {
  /** Newest first. */
  list(prefix: string): Promise<readonly Collection[]>;
  /** The content of a folder; the collection's own without a path. */
  files(prefix: string, id: string, path: string): Promise<readonly CollectedFile[]>;
  /** Bytes of a file, at most `MAX_FILE_RANGE`. */
  read(prefix: string, id: string, path: string, from: number, length: number): Promise<FileRange>;
  /** What differs between two collections; see `recipes/collect/compare-collections.ts`. */
  compare(prefix: string, before: string, after: string): Promise<readonly CollectedChange[]>;
  /** How a text differs between two collections; see `recipes/collect/diff-collected.ts`. */
  diff(prefix: string, before: string, after: string, path: string): Promise<TextDiff>;
  /** Copies a file or folder of it to exactly this path; see `recipes/collect/save-collected.ts`. */
  save(prefix: string, id: string, path: string, destination: string, options?: ActionOptions): Operation<void>;
  /** Absolute path of a file or folder of it. */
  pathOf(prefix: string, id: string, path: string): Promise<string>;
  /** Deletes it with its files. */
  remove(prefix: string, id: string): Promise<void>;
}

/** Operations of this process, running or ended and not dismissed. */
export interface Operations {
  get(id: string): Operation | undefined;
  /** Removes a finished one from the list. */
  dismiss(id: string): void;
  /** The kept lines of its log (see `OPERATION_LOG_LINES`), then new ones. Ends with the operation, and on abort. */
  log(id: string, signal: AbortSignal): AsyncIterableIterator<readonly string[]>;
}

/** Package repositories for environments. `prefix` is undefined for what concerns none. */
export interface Repos {
  /** Says which sections of files are used and why; see `recipes/repos/choose-repos.ts`. Contacts no server. */
  explain(prefix: string | undefined, request: RepoRequest): Promise<RepoExplanation>;
  /** Merges packages into the environment's own repositories; see `recipes/repos/merge.ts`. Does not take the environment's lock. */
  merge(prefix: string, request: MergePackagesRequest, options?: ActionOptions): Operation<MergeResult>;
  /** Serves packages to the guests of a running environment until it is disposed, or on abort; see `recipes/repos/serve.ts`. */
  serve(prefix: string, request: ServeRequest, signal?: AbortSignal): Promise<ServedPackages>;
  /** Serves the merged packages, if there are any and nobody else does, until it is disposed. That it cannot be done is only logged. */
  serveDuring(prefix: string, signal: AbortSignal): Promise<AsyncDisposable>;
  /** What guests fetched, oldest first, as far as it is kept. */
  accesses(prefix: string): Promise<readonly RepoAccess[]>;
  /** What guests fetch from now on, also from servers of other processes; first the last `kept` until then. Ends on abort. */
  follow(prefix: string, signal: AbortSignal, kept?: number): AsyncIterableIterator<readonly RepoAccess[]>;
  /** What was merged, with what guests need to use it; see `recipes/repos/merged.ts`. */
  merged(prefix: string, signal?: AbortSignal): Promise<MergedPackages>;
  /**
   * Serves the merged packages until `stopServing`, until the environment is stopped, or until the engine is closed; returns the address.
   * Does nothing if this engine serves them already. Errors are those of `serve`.
   */
  startServing(prefix: string, signal?: AbortSignal): Promise<string>;
  /** Ends the servers of the environment's packages, also those of other processes; see `recipes/repos/stop-serving.ts`. */
  stopServing(prefix: string, signal?: AbortSignal): Promise<void>;
  /** Synchronises the chosen ones into the store, for an environment or for none; see `recipes/repos/sync.ts`. Pausable. */
  sync(prefix: string | undefined, request: SyncRequest, options?: ActionOptions): Operation<readonly SyncResult[]>;
  /** Synchronises repositories of the store once more; see `recipes/repos/sync-stored.ts`. Pausable. */
  syncStored(request: StoredSyncRequest, options?: ActionOptions): Operation<readonly SyncResult[]>;
  /** What is in the store. Contacts no server. */
  stored(): Promise<readonly StoredRepo[]>;
  /** Removes repositories from the store; returns those that were, or would be, removed. See `recipes/repos/store.ts`. */
  clean(request: CleanRequest, signal?: AbortSignal): Promise<readonly StoredRepo[]>;
  /** Removes just these from the store, as an operation. */
  remove(names: readonly string[], options?: ActionOptions): Operation<readonly StoredRepo[]>;
  /** How the last synchronisation of one ended, and which packages last came and went. */
  changes(name: string): Promise<RepoChanges>;
  /** Folder of a repository of the store; `input.invalid` for any other name. */
  pathOf(name: string): Promise<string>;
}

/** The machine that the engine runs on. */
export interface Machine {
  /** Runs the checks again; the result is published too. */
  check(): Promise<readonly HostCheck[]>;
}

/** Result of updating one added repository. */
export interface UpdatedRepository {
  readonly path: string;
  /** Its current commit. */
  readonly commit: string;
}

/**
 * Template repositories and the store. `template` is a full name (`REPO:TEMPLATE:VERSION`), TEMPLATE or TEMPLATE:VERSION; without a version
 * it means the newest. Operations fail with the codes of `template/store.ts` and `template/repository.ts`.
 */
export interface Library {
  /** Contents of repositories and store. Contacts no server (except for a configured repository that is a URL). */
  state(signal?: AbortSignal): Promise<LibraryState>;
  /** Returns its full name in the store. Pausable. */
  fetch(template: string, options?: ActionOptions): Operation<string>;
  /** Returns the names of the checksums that were compared. */
  verify(template: string, options?: ActionOptions): Operation<readonly string[]>;
  /** Returns the number of bytes freed. */
  evict(template: string, options?: ActionOptions): Operation<number>;
  /** Evicts images that no environment uses and that were last used at least `olderThanMs` ago; returns full names and bytes. */
  evictUnused(olderThanMs: number, options?: ActionOptions): Operation<readonly { readonly fullName: string; readonly size: number }[]>;
  /** Clones a git repository below the folder of repositories; returns its path there. */
  addRepository(url: string, options?: ActionOptions): Operation<string>;
  updateRepositories(options?: ActionOptions): Operation<readonly UpdatedRepository[]>;
  /** Builds a template in the user's own repository; see `export/build-template.ts`. */
  build(request: BuildRequest, options?: ActionOptions): Operation<BuiltTemplate>;
}
