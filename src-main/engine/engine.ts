import type { Duplex } from 'node:stream';
import type { Inspection, LiveEvent, Sample } from '../../src-shared/contract.ts';
import type { HostChoice } from '../../src-shared/host-choice.ts';
import type { HostCheck, LibraryState, PrefixState } from '../../src-shared/state.ts';
import type { VerbInput, VerbNoun, Verbs } from '../../src-shared/verbs.ts';
import type { Operation, OperationEvent } from './core/operation.ts';
import type { CreateRequest } from './create/create-request.ts';
import type { BuildRequest, BuiltTemplate } from './export/build-request.ts';
import type { ExportRequest, ExportResult } from './export/export-request.ts';
import type { GuestService } from './guest/services.ts';
import type { ExecResult } from './guest/ssh.ts';
import type { ExecRequest, ShellRequest, ShellSession } from './runtime/shell-request.ts';

export interface ActionOptions {
  readonly signal?: AbortSignal | undefined;
  /** Attached before the work begins. */
  readonly onEvent?: (event: OperationEvent) => void;
}

/** The verbs of a noun as methods. They fail as their recipes do (`recipes/`). */
export type VerbMethods<Noun extends VerbNoun> = {
  readonly [Name in keyof Verbs[Noun]]: (prefix: string, input: VerbInput<Noun, Name>, options?: ActionOptions) => Operation<void>;
};

/**
 * The engine, used in process by every front door, its calls grouped as the contract's are. All long work comes back as an `Operation`
 * that has already begun. `prefix` is a prefix path as `resolvePrefix` gives it. Rejections are `EngineError`s.
 */
export interface Engine extends AsyncDisposable {
  readonly workdir: string;
  readonly initFile: InitFiles;
  readonly prefix: Prefixes;
  readonly snapshot: Snapshots;
  readonly vm: Vms;
  readonly operation: Operations;
  readonly library: Library;
  readonly machine: Machine;
  /** Present values first, then each change. Ends on abort. */
  live(signal: AbortSignal): AsyncIterableIterator<LiveEvent>;
}

/** What can be said of init files before anything is made. */
export interface InitFiles {
  /** The sample environments that come with the program. */
  samples(): Promise<readonly Sample[]>;
  /** Reads an init file and says what it would make. Touches nothing. */
  inspect(path: string, options?: InspectOptions): Promise<Inspection>;
}

export interface InspectOptions {
  /** Of the file, in place of what is saved; names in it are relative to the path's folder all the same. */
  readonly text?: string | undefined;
  readonly workdir?: string;
  readonly name?: string;
  readonly host?: HostChoice | undefined;
  /** As in `CreateRequest`. */
  readonly allowPaths?: readonly string[] | undefined;
}

/** Environments: the verbs of `src-shared/verbs.ts`, and what goes beyond one that is there. */
export interface Prefixes extends VerbMethods<'prefix'> {
  create(request: CreateRequest, options?: ActionOptions): Operation<PrefixState>;
  /** Writes the disks of VMs that are off and an init file that makes them again elsewhere; see `export/export.ts`. */
  export(prefix: string, request: ExportRequest, options?: ActionOptions): Operation<ExportResult>;
  /** VM → paths of the disks that an export would read. Makes nothing. */
  exportedDisks(prefix: string, vms: readonly string[]): Promise<Record<string, readonly string[]>>;
  /** The present state, read from disk and from its host when that is up. Takes no lock, starts nothing. */
  status(prefix: string): Promise<PrefixState>;
  /** Adds environments found at a path (prefix or workdir) to the list; answers their ids. */
  open(path: string): Promise<readonly string[]>;
  forget(id: string): Promise<void>;
  /** Path of a known environment, `prefix.missing` otherwise. */
  pathOf(id: string): string;
  recent(): Promise<readonly { readonly path: string; readonly name: string; readonly usedAt: number }[]>;
}

export interface Snapshots extends VerbMethods<'snapshot'> {
  /** VM → snapshot name → disk specs, as Lago's `snapshot --list` prints. */
  list(prefix: string): Promise<Record<string, Record<string, unknown[]>>>;
}

/** What one does in a VM. `vm.missing` for a name that the environment does not have. */
export interface Vms {
  /** Waits for ssh (the VM's boot time at most) and opens a session. `vm.not-running`, `guest.unreachable`. */
  shell(prefix: string, request: ShellRequest): Promise<ShellSession>;
  /**
   * Runs a command by ssh to its end, waiting for ssh as `shell` does. A code other than 0 is a result, not an error. Rejects as `shell`,
   * and with `guest.unreachable` when the VM is lost meanwhile.
   */
  exec(prefix: string, request: ExecRequest): Promise<ExecResult>;
  /**
   * A service of a VM, by the provider that its definition names, else the first that the guest has (asked once in this engine).
   * `input.invalid` for a name that no service can have or a provider that there is not.
   */
  service(prefix: string, vm: string, name: string, signal?: AbortSignal): Promise<GuestService>;
  /** The serial console. */
  console(prefix: string, vm: string, signal?: AbortSignal): Promise<Duplex>;
  /** RFB bytes of the VM's screen. */
  screen(prefix: string, vm: string, signal?: AbortSignal): Promise<Duplex>;
  /** VM → the password that root got at creation, null where it has none. No state carries them: they are asked for when they are shown. */
  rootPasswords(prefix: string): Promise<Readonly<Record<string, string | number | null>>>;
}

/** Operations of this process, running or ended and not dismissed. */
export interface Operations {
  get(id: string): Operation | undefined;
  /** Takes a finished one off the list. */
  dismiss(id: string): void;
  /** First the lines of its log that are kept (see `OPERATION_LOG_LINES`), then what is added. Ends with the operation, and on abort. */
  log(id: string, signal: AbortSignal): AsyncIterableIterator<readonly string[]>;
}

/** The machine that the engine runs on. */
export interface Machine {
  /** Runs the checks again; the result is published too. */
  check(): Promise<readonly HostCheck[]>;
}

/** What became of one added repository. */
export interface UpdatedRepository {
  readonly path: string;
  /** Commit that it is at now. */
  readonly commit: string;
}

/**
 * Template repositories and the store. `template` is a full name (`REPO:TEMPLATE:VERSION`), TEMPLATE or TEMPLATE:VERSION; without a
 * version the newest is meant. Operations fail with the codes of `template/store.ts` and `template/repository.ts`.
 */
export interface Library {
  /** What repositories and store hold. Asks no server (but for a configured repository that is a URL). */
  state(signal?: AbortSignal): Promise<LibraryState>;
  /** Answers the full name under which the store has it. Pausable. */
  fetch(template: string, options?: ActionOptions): Operation<string>;
  /** Answers the names of the checksums that were compared. */
  verify(template: string, options?: ActionOptions): Operation<readonly string[]>;
  /** Answers the bytes that became free. */
  evict(template: string, options?: ActionOptions): Operation<number>;
  /** Evicts what no environment uses and was not used for `olderThanMs`; answers full names and bytes. */
  evictUnused(olderThanMs: number, options?: ActionOptions): Operation<readonly { readonly fullName: string; readonly size: number }[]>;
  /** Clones a git repository below the folder of repositories; answers its path there. */
  addRepository(url: string, options?: ActionOptions): Operation<string>;
  updateRepositories(options?: ActionOptions): Operation<readonly UpdatedRepository[]>;
  /** Makes a template in a repository of one's own; see `export/build-template.ts`. */
  build(request: BuildRequest, options?: ActionOptions): Operation<BuiltTemplate>;
}
