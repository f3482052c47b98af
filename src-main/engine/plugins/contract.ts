import type { EnvironmentSpecs, VmSpec } from '../../../src-shared/specs.ts';
import type { VmStatus } from '../../../src-shared/state.ts';
import type { OptionSpec, PositionalSpec, Values } from '../../../src-shared/verb-table.ts';
import type { Log } from '../core/log.ts';
import type { Operation, Step } from '../core/operation.ts';
import type { RunOptions, RunResult } from '../core/run.ts';
import type { ActionOptions, Engine } from '../engine.ts';
import type { ServiceProvider } from '../guest/services.ts';
import type { Processor } from '../libvirt/xml/processor.ts';
import type { PrefixLocation } from '../prefix/location.ts';

/** What the functions below take and give, for plugins that write down types. */
export type { Engine, Operation, PrefixLocation, Processor, RunOptions, RunResult, Step };

/**
 * The plugin contract. A plugin module's default export is one plugin, or a list of them, as plain objects; a plugin need not import
 * anything from Lago Desktop. Plugins are code that the user chose to run with all of the user's rights; init files, templates and
 * environments only refer to plugins by name and never load one. See docs/plugins.md.
 */
export const PLUGIN_API_VERSION = 1;

interface Named {
  /** The contract version that the plugin was written for: `PLUGIN_API_VERSION`. */
  readonly apiVersion: typeof PLUGIN_API_VERSION;
  /** Letters, digits, `.`, `_` and `-`. Unique among plugins of its kind, including built-in ones. */
  readonly name: string;
}

/** A value that every format can print. */
export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

/** Order of a mapping's keys: sorted as Lago printed them, or as in the value if that order is documented. */
export type KeyOrder = 'sorted' | 'kept';

/** A format for `--out-format`. */
export interface OutputPlugin extends Named {
  readonly kind: 'output';
  /** Formats any value, without a trailing newline. */
  format(value: Plain, order: KeyOrder): string;
}

/** A verb: `lago NAME`. Names of existing verbs are taken; those of Lago's verbs that do not exist here are free. */
export interface CliPlugin extends Named {
  readonly kind: 'cli';
  /** One line for the list of verbs. */
  readonly summary: string;
  /** A longer text for `lago NAME --help` and the manual page. */
  readonly description?: string;
  readonly positionals?: readonly PositionalSpec[];
  readonly options?: readonly OptionSpec[];
  readonly examples?: readonly { readonly line: string; readonly does: string }[];
  /** Returns the exit code; undefined means 0. Errors are reported under the plugin's name. */
  run(call: VerbCall): Promise<number | undefined> | Promise<void>;
}

/** What a verb can use. */
export interface VerbCall {
  /** Options and positionals by name; absent when not given. */
  readonly values: Values;
  /** The effective configuration. `section` defaults to the verb's name, as in Lago. */
  readonly config: {
    get(key: string, section?: string): string | undefined;
    /** Everything set in a section. */
    section(name: string): Readonly<Record<string, string>>;
  };
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  readonly cwd: string;
  /** Name of the chosen output format. */
  readonly format: string;
  /** Progress and warnings, on stderr. */
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  /** Prints one or more lines to stdout. */
  print(text: string): void;
  /** Prints a value to stdout in the chosen format. */
  printValue(value: unknown): void;
  /** The variables of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** This program: the words that start its command line, and the folder of what is shipped with it. */
  readonly program: { readonly command: readonly string[]; readonly resources: string };
  /** The environment selected on the command line. Rejects like the other verbs when there is none. */
  prefix(): Promise<PrefixLocation>;
  /** The saved definition of the environment at this path. */
  specs(prefix: string): Promise<EnvironmentSpecs>;
  /** Opens the engine for `work` and closes it afterwards. */
  withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T>;
  /** Prints an operation's progress, cancels it on a signal, and returns its result. */
  follow<T>(begin: (options: ActionOptions) => Operation<T>): Promise<T>;
  /** Does work of the plugin's own as such an operation: what `step.step` runs is shown as a task. */
  task<T>(label: string, work: (step: Step) => Promise<T>): Promise<T>;
  /** Runs a program without a shell, and resolves when it has ended, whatever its exit code. Cancelled by `options.signal`. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Ends the verb with exit code 2 and this message, without a stack: for errors that the user can fix. */
  fail(message: string, hint?: string): never;
}

/** A VM type, named by `vm-type` in an init file. Called when an environment is planned; must have no side effects. */
export interface VmTypePlugin extends Named {
  readonly kind: 'vm';
  /** Paths in the guest that `lago collect` fetches, besides those in the init file. */
  readonly artifacts?: readonly string[];
  /** Default metadata of the VM; the init file takes precedence. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /**
   * Changes to the VM's definition before it is saved: the keys to set. `spec` is complete. These keys cannot be changed: `name`, `nics`,
   * `disks`, `snapshots`, `mgmt_net`, `vm-type`, `vm-provider`.
   */
  extend?(spec: Readonly<VmSpec>): Readonly<Record<string, unknown>>;
  /**
   * For old ways of naming a type: whether a VM with this metadata is of this type, whatever its `vm-type` says. The answer is the warning
   * that the user gets.
   */
  adopts?(metadata: Readonly<Record<string, unknown>>): Advice | undefined;
  /** What is wrong with the VMs of this type in one environment as a whole; each an error at its VM. `specs` are complete, in file order. */
  review?(specs: readonly Readonly<VmSpec>[]): readonly (Advice & { readonly vm: string })[];
}

/** Sentences for the user: what is so, and what to do about it. */
export interface Advice {
  readonly message: string;
  readonly hint?: string;
}

/** A VM as described to its provider. */
export interface ProvidedVm {
  readonly name: string;
  readonly spec: Readonly<VmSpec>;
  /** The address in the definition, null when there is none. */
  readonly address: string | null;
  readonly environment: { readonly uuid: string; readonly name: string; readonly path: string };
}

export interface ProviderCall {
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** A VM provider, named by `vm-provider` in an init file. */
export type VmProviderPlugin = HostedProvider | ForeignProvider;

/** Runs its VMs on the environment's libvirt: the engine creates their disks and networks, starts, stops and snapshots them. */
export interface HostedProvider extends Named {
  readonly kind: 'vm-provider';
  readonly hosted: true;
}

/**
 * Controls machines that run elsewhere. They have no libvirt disks and no snapshots; the engine asks the provider to start and stop them,
 * and for their state and ssh address. Connections go out from this machine, not from the environment's networks.
 */
export interface ForeignProvider extends Named {
  readonly kind: 'vm-provider';
  readonly hosted?: false;
  /** Called only while the machine is not running; resolves once it runs (its ssh may come later). Undone by `stop`. */
  start(vm: ProvidedVm, call: ProviderCall): Promise<void>;
  /** Called only while the machine is not down. */
  stop(vm: ProvidedVm, call: ProviderCall): Promise<void>;
  /** Lets the guest shut down, and resolves once it is down. Called like `stop`, which is used instead when there is none. */
  shutdown?(vm: ProvidedVm, call: ProviderCall): Promise<void>;
  /** Lets the guest reboot, and resolves once it has begun to. Called only while the machine is not down. */
  reboot?(vm: ProvidedVm, call: ProviderCall): Promise<void>;
  state(vm: ProvidedVm, call: ProviderCall): Promise<VmStatus>;
  /** Its ssh address, null when it has none. Default: `vm.address`, port 22. */
  address?(vm: ProvidedVm, call: ProviderCall): Promise<{ readonly host: string; readonly port?: number } | null>;
}

/** A kind of service control in guests, named by `service_provider` in an init file. */
export interface ServicePlugin extends Named, ServiceProvider {
  readonly kind: 'vm-service';
  readonly name: string;
}

export type Plugin = CliPlugin | OutputPlugin | VmTypePlugin | VmProviderPlugin | ServicePlugin;
export type PluginKind = Plugin['kind'];
export type PluginOf<K extends PluginKind> = Extract<Plugin, { readonly kind: K }>;

/** Returns the plugin unchanged; gives editors its type. */
export function definePlugin<P extends Plugin>(plugin: P): P {
  return plugin;
}
