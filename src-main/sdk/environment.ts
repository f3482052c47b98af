import { EngineError } from '../../src-shared/errors.ts';
import type { NetworkState, PrefixState, VmState, VmStatus } from '../../src-shared/state.ts';
import type { ActionOptions, Engine, ExecResult, GuestService, Operation } from '../engine/index.ts';

/** Everything that waits takes one: an aborted `signal` cancels, undoes what was begun, and rejects with code `cancelled`. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface SshOptions extends CallOptions {
  /** Sent to the command's stdin, which is then closed. */
  readonly input?: string | Uint8Array;
  /** Bytes kept of each output, the last ones. Default 1 MiB. */
  readonly maxOutput?: number;
}

/** A VM of an environment. Methods ask anew each time; properties are those of the definition. */
export interface Vm {
  readonly name: string;
  /** What it is doing; `down` when it does not run. */
  state(): Promise<VmStatus>;
  /** Its address on the management network, null when nobody knows one. */
  ip(): Promise<string | null>;
  /** Everything that is known of it. */
  info(): Promise<VmState>;
  start(options?: CallOptions): Promise<void>;
  /** Powers it off. */
  stop(options?: CallOptions): Promise<void>;
  /**
   * Runs a command line in its shell, waiting for ssh as long as it may take to boot. A code other than 0 is a result, not an error.
   * `vm.not-running`, `guest.unreachable`, `guest.refused`.
   */
  ssh(command: string, options?: SshOptions): Promise<ExecResult>;
  /** A service, by the provider that its definition names, else the first that it has. */
  service(name: string, options?: CallOptions): Promise<GuestService>;
}

/** An environment: its prefix on disk and, when it runs, its VMs and networks. Long calls hold the prefix's lock, as the verbs do. */
export interface Environment {
  readonly name: string;
  /** Absolute path of the prefix. */
  readonly path: string;
  /** Starts all VMs, or the named ones, with the networks that they need. */
  start(vms?: readonly string[], options?: CallOptions): Promise<void>;
  stop(vms?: readonly string[], options?: CallOptions): Promise<void>;
  /** Stops everything and removes the prefix with all its files. */
  destroy(options?: CallOptions): Promise<void>;
  status(): Promise<PrefixState>;
  /** Its VMs by name, in the order of the init file. */
  vms(): Promise<Readonly<Record<string, Vm>>>;
  /** One VM; `vm.missing` naming those there are. */
  vm(name: string): Promise<Vm>;
  /** Its networks by name, as they are now. */
  nets(): Promise<Readonly<Record<string, NetworkState>>>;
  /** Takes a snapshot of all VMs at one moment. */
  snapshot(name: string, options?: CallOptions): Promise<void>;
  /** Takes all VMs back to it. What happened since is lost. */
  revert(name: string, options?: CallOptions): Promise<void>;
}

/** Begins an operation and answers what it answers; its steps and log lines go to the engine's log. */
export type Follow = <T>(begin: (options: ActionOptions) => Operation<T>, options: CallOptions | undefined) => Promise<T>;

export function environmentAt(engine: Engine, path: string, name: string, follow: Follow): Environment {
  const status = async (): Promise<PrefixState> => await engine.status(path);

  function vmNamed(vm: string): Vm {
    const info = async (): Promise<VmState> => {
      const { vms } = await status();
      const found = vms.find((one) => one.name === vm);
      if (found !== undefined) return found;
      throw new EngineError('vm.missing', `There is no VM "${vm}" in ${name}.`, {
        hint: `It has: ${vms.map((one) => one.name).join(', ')}.`,
      });
    };
    return {
      name: vm,
      info,
      state: async () => (await info()).status,
      ip: async () => (await info()).ip,
      start: async (options) => await follow((action) => engine.start(path, [vm], action), options),
      stop: async (options) => await follow((action) => engine.stop(path, [vm], action), options),
      ssh: async (command, options = {}) => await engine.exec(path, { vm, command, ...options }),
      service: async (service, options) => await engine.service(path, vm, service, options?.signal),
    };
  }

  return {
    name,
    path,
    status,
    start: async (vms = [], options) => await follow((action) => engine.start(path, vms, action), options),
    stop: async (vms = [], options) => await follow((action) => engine.stop(path, vms, action), options),
    destroy: async (options) => await follow((action) => engine.destroy(path, action), options),
    vms: async () => Object.fromEntries((await status()).vms.map((vm) => [vm.name, vmNamed(vm.name)])),
    vm: async (vm) => {
      const found = vmNamed(vm);
      await found.info();
      return found;
    },
    nets: async () => Object.fromEntries((await status()).networks.map((net) => [net.name, net])),
    snapshot: async (snapshot, options) => await follow((action) => engine.snapshot(path, snapshot, action), options),
    revert: async (snapshot, options) => await follow((action) => engine.revert(path, snapshot, undefined, action), options),
  };
}
