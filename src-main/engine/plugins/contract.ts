import type { VmSpec } from '../../../src-shared/specs.ts';
import type { VmStatus } from '../../../src-shared/state.ts';
import type { OptionSpec, PositionalSpec, Values } from '../../../src-shared/verb-table.ts';
import type { Log } from '../core/log.ts';
import type { Operation } from '../core/operation.ts';
import type { ActionOptions, Engine } from '../engine.ts';
import type { ServiceProvider } from '../guest/services.ts';
import type { PrefixLocation } from '../prefix/location.ts';

/**
 * What a plugin is. A plugin module exports by default one plugin, or a list of them, as plain objects: nothing of Lago Desktop has to
 * be imported to write one. Plugins are code that the user chose to run with all of the user's rights; init files, templates and
 * environments only name what plugins offer and never load one. See docs/plugins.md.
 */
export const PLUGIN_API_VERSION = 1;

interface Named {
  /** The contract that the plugin was written for: `PLUGIN_API_VERSION`. */
  readonly apiVersion: typeof PLUGIN_API_VERSION;
  /** Letters, digits, `.`, `_` and `-`. Unique among plugins of its kind, the built-in ones included. */
  readonly name: string;
}

/** What can be printed in every format. */
export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

/** How a mapping's keys are to come out: by name as Lago printed them, or as the value has them, where that order is documented. */
export type KeyOrder = 'sorted' | 'kept';

/** A format for `--out-format`. */
export interface OutputPlugin extends Named {
  readonly kind: 'output';
  /** The text of any value, without a newline at the end. */
  format(value: Plain, order: KeyOrder): string;
}

/** A verb: `lago NAME`. It may not have the name of a verb that is there; one that is only known from Lago is free. */
export interface CliPlugin extends Named {
  readonly kind: 'cli';
  /** One line for the list of verbs. */
  readonly summary: string;
  /** More, for `lago NAME --help` and the manual page. */
  readonly description?: string;
  readonly positionals?: readonly PositionalSpec[];
  readonly options?: readonly OptionSpec[];
  readonly examples?: readonly { readonly line: string; readonly does: string }[];
  /** Answers the exit code; nothing means 0. What it throws is reported under the plugin's name. */
  run(call: VerbCall): Promise<number | undefined> | Promise<void>;
}

/** What a verb has at hand. */
export interface VerbCall {
  /** Options and positionals by name; absent when not given. */
  readonly values: Values;
  /** The effective configuration. `section` is the plugin's own when it is the verb's name, as Lago does it. */
  readonly config: {
    get(key: string, section?: string): string | undefined;
    /** Everything that is set in a section. */
    section(name: string): Readonly<Record<string, string>>;
  };
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  readonly cwd: string;
  /** The chosen output format's name. */
  readonly format: string;
  /** Progress and warnings, on stderr. */
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  /** A line (or several) on stdout. */
  print(text: string): void;
  /** A value on stdout in the chosen format. */
  printValue(value: unknown): void;
  /** The environment that the command line means. Rejects as the other verbs do when there is none. */
  prefix(): Promise<PrefixLocation>;
  /** Opens the engine for `work` and closes it after. */
  withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T>;
  /** Prints an operation of the engine while it runs, cancels it on a signal, and answers what it answers. */
  follow<T>(begin: (options: ActionOptions) => Operation<T>): Promise<T>;
  /** Ends the verb with exit code 2 and these words, without a stack: the user can do something about it. */
  fail(message: string, hint?: string): never;
}

/** A VM type: what `vm-type` in an init file may name. It is asked when an environment is planned, and must only compute. */
export interface VmTypePlugin extends Named {
  readonly kind: 'vm';
  /** Paths in the guest that `lago collect` fetches, besides those in the init file. */
  readonly artifacts?: readonly string[];
  /** Metadata of the VM where the init file gives none of that name. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /**
   * Changes to the VM's definition before it is saved: the keys to set. `spec` is complete. What is decided already cannot be changed:
   * `name`, `nics`, `disks`, `snapshots`, `mgmt_net`, `vm-type`, `vm-provider`.
   */
  extend?(spec: Readonly<VmSpec>): Readonly<Record<string, unknown>>;
}

/** A VM as its provider is told about it. */
export interface ProvidedVm {
  readonly name: string;
  readonly spec: Readonly<VmSpec>;
  /** What the definition says, null when it gives none. */
  readonly address: string | null;
  readonly environment: { readonly uuid: string; readonly name: string; readonly path: string };
}

export interface ProviderCall {
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** A VM provider: what `vm-provider` in an init file may name. */
export type VmProviderPlugin = HostedProvider | ForeignProvider;

/** The environment's libvirt runs these VMs: the engine makes their disks and networks, starts, stops and snapshots them. */
export interface HostedProvider extends Named {
  readonly kind: 'vm-provider';
  readonly hosted: true;
}

/**
 * Machines that something else runs. They get no disks from libvirt and no snapshots; the engine asks the provider to start and stop
 * them, what they are doing, and where their ssh is. Connections go out from this machine, not from the environment's networks.
 */
export interface ForeignProvider extends Named {
  readonly kind: 'vm-provider';
  readonly hosted?: false;
  /** Asked only while the machine does not run; resolves when it does (its ssh may come later). Undone by `stop`. */
  start(vm: ProvidedVm, call: ProviderCall): Promise<void>;
  /** Asked only while the machine is not down. */
  stop(vm: ProvidedVm, call: ProviderCall): Promise<void>;
  state(vm: ProvidedVm, call: ProviderCall): Promise<VmStatus>;
  /** Where its ssh is reached, null when it cannot be. Without this function `vm.address`, port 22. */
  address?(vm: ProvidedVm, call: ProviderCall): Promise<{ readonly host: string; readonly port?: number } | null>;
}

/** A way of looking after services in guests: what `service_provider` in an init file may name. */
export interface ServicePlugin extends Named, ServiceProvider {
  readonly kind: 'vm-service';
  readonly name: string;
}

export type Plugin = CliPlugin | OutputPlugin | VmTypePlugin | VmProviderPlugin | ServicePlugin;
export type PluginKind = Plugin['kind'];
export type PluginOf<K extends PluginKind> = Extract<Plugin, { readonly kind: K }>;

/** Answers the plugin as it is: an editor then knows what it has to be. */
export function definePlugin<P extends Plugin>(plugin: P): P {
  return plugin;
}
