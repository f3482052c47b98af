import type { Collection } from '../../src-shared/collection.ts';
import { EngineError } from '../../src-shared/errors.ts';
import type { NetworkState, PrefixState, VmState, VmStatus } from '../../src-shared/state.ts';
import {
  allVerbs,
  type DeployInput,
  type EditSnapshotInput,
  type NamedVerb,
  type VerbInputKind,
  type VerbInputs,
  type Verbs,
} from '../../src-shared/verbs.ts';
import { callVerb, type Engine, type ExecResult, type GuestService } from '../engine/index.ts';

import type { CallOptions, Follow } from './follow.ts';
import { type SnapshotCalls, snapshotCalls } from './snapshot-calls.ts';

export interface SshOptions extends CallOptions {
  /** Sent to the command's stdin, which is then closed. */
  readonly input?: string | Uint8Array;
  /** How many bytes to keep of each output, counted from its end. Default 1 MiB. */
  readonly maxOutput?: number;
}

export interface CollectOptions extends CallOptions {
  /** Directory to collect to, absolute; one that exists is renamed. */
  readonly output?: string | undefined;
  /** Fail if a VM does not have one of the paths. */
  readonly noSkip?: boolean | undefined;
}

/**
 * A VM of an environment. Methods query the current state on each call; properties come from the definition. `start`, `stop` (powers it
 * off), `shutdown`, `reboot`, `reset`, `suspend` and `resume` work as on the environment, for this VM only.
 */
export interface Vm extends VmVerbs {
  readonly name: string;
  /** Its current status; `down` when it does not run. */
  state(): Promise<VmStatus>;
  /** Its address on the management network; null when unknown. */
  ip(): Promise<string | null>;
  /** Its complete state. */
  info(): Promise<VmState>;
  /**
   * Runs a command line in the VM's shell. Waits for ssh for as long as the VM may take to boot. A nonzero exit code is a result, not an
   * error. `vm.not-running`, `guest.unreachable`, `guest.refused`.
   */
  ssh(command: string, options?: SshOptions): Promise<ExecResult>;
  /** Copies a file or directory of this machine into the VM, like `scp -r`; returns where it is. Waits for ssh as `ssh` does. */
  copyTo(local: string, remote: string, options?: CallOptions): Promise<string>;
  /** Copies a file or directory of the VM to this machine, like `scp -r`; returns where it is. */
  copyFrom(remote: string, local: string, options?: CallOptions): Promise<string>;
  /** A service, managed by the provider that the VM's definition names, else by the first one that the guest has. */
  service(name: string, options?: CallOptions): Promise<GuestService>;
}

/** `delete-snapshot` → `deleteSnapshot`. */
type Camel<Text extends string> = Text extends `${infer First}-${infer Rest}` ? `${First}${Capitalize<Camel<Rest>>}` : Text;
type AnyVerb = { [Noun in keyof Verbs]: Verbs[Noun][keyof Verbs[Noun]] }[keyof Verbs];
/** For `shutdown`. */
export interface ShutdownOptions extends CallOptions {
  /** Let the guests reboot instead. */
  readonly reboot?: boolean;
  /** Seconds after which VMs whose guests ignore it are powered off (or reset). Without it, `shutdown` fails after 300 s, naming them. */
  readonly forceAfter?: number;
}

export interface SnapshotOptions extends CallOptions {
  /** Without memory: reverting to it leaves the VMs off. */
  readonly diskOnly?: boolean;
  /** With `diskOnly`: guests first write everything to their disks, by their agents. */
  readonly quiesce?: boolean;
}

export interface RevertOptions extends CallOptions {
  /** Name under which to keep the present first, so that the revert can itself be taken back. */
  readonly keep?: string;
}

export interface DestroyOptions extends CallOptions {
  /** If the other machine that the environment is on does not answer, only remove what is here; the log tells what stays there. */
  readonly forget?: boolean;
}

type VerbArguments = {
  nothing: [options?: CallOptions];
  vms: [vms?: readonly string[], options?: CallOptions];
  shutdown: [vms?: readonly string[], options?: ShutdownOptions];
  takeSnapshot: [name: string, options?: SnapshotOptions];
  snapshot: [name: string, options?: CallOptions];
  revert: [name: string, options?: RevertOptions];
  editSnapshot: [edit: EditSnapshotInput, options?: CallOptions];
  pruneSnapshots: [which?: VerbInputs['pruneSnapshots'], options?: CallOptions];
  deploy: [which?: DeployInput, options?: CallOptions];
  destroy: [options?: DestroyOptions];
};
/** Every verb of the engine's table, as a method named after its kind. */
export type EnvironmentVerbs = {
  readonly [One in AnyVerb as Camel<One['kind']>]: (...given: VerbArguments[One['takes']]) => Promise<void>;
};
/** The verbs that take VM names, bound to one VM. */
export type VmVerbs = {
  readonly [One in AnyVerb as One['takes'] extends 'vms' | 'shutdown' ? Camel<One['kind']> : never]: (
    options?: VerbArguments[One['takes']][1],
  ) => Promise<void>;
};

/**
 * An environment: its prefix on disk and, while it runs, its VMs and networks. The verbs do the same as on the command line and take the
 * same lock: `start`, `stop`, `shutdown`, `reboot`, `reset`, `suspend`, `resume` (all VMs, or the named ones with the networks that they
 * need), `deploy` (runs deploy scripts; takes no lock), `snapshot` (of all VMs at one moment), `revert` (all VMs; later changes are lost),
 * `deleteSnapshot`, `editSnapshot` (name, note, tags, pin), `pruneSnapshots` (a branch, or all that are not pinned), `cleanup`, and `destroy` (stops everything and deletes the prefix with all its files).
 */
export interface Environment extends EnvironmentVerbs, SnapshotCalls<Environment> {
  readonly name: string;
  /** Absolute path of the prefix. */
  readonly path: string;
  status(): Promise<PrefixState>;
  /**
   * Collects the artifacts of all VMs, or of the named ones, to a new directory in the environment, or to `output`; returns what was
   * collected. `guest.failed` naming the VMs that failed, after the others have finished.
   */
  collect(vms?: readonly string[], options?: CollectOptions): Promise<Collection>;
  /** Its VMs by name, in the order of the init file. */
  vms(): Promise<Readonly<Record<string, Vm>>>;
  /** One VM. Throws `vm.missing` listing the known names. */
  vm(name: string): Promise<Vm>;
  /** Its networks by name, in their current state. */
  nets(): Promise<Readonly<Record<string, NetworkState>>>;
}

export function environmentAt(engine: Engine, path: string, name: string, follow: Follow): Environment {
  const status = async (): Promise<PrefixState> => await engine.prefix.status(path);

  async function run(verb: NamedVerb, input: VerbInputs[VerbInputKind], options: CallOptions | undefined): Promise<void> {
    await follow((action) => callVerb(engine, verb, path, input, action), options);
  }

  // The first argument is the verb's input, for verbs that take any.
  const environmentVerbs = Object.fromEntries(
    allVerbs().map((verb) => [
      camel(verb.kind),
      async (...given: [unknown?, CallOptions?]) => {
        const [first, options] = given;
        if (verb.takes === 'nothing') await run(verb, {}, first as CallOptions | undefined);
        else if (verb.takes === 'destroy') {
          const how = (first ?? {}) as DestroyOptions;
          await run(verb, { forget: how.forget }, how);
        } else if (OBJECTS.has(verb.takes)) await run(verb, (first ?? {}) as VerbInputs[VerbInputKind], options);
        else if (takesVms(verb)) await run(verb, inputFor(verb, first as readonly string[] | undefined, options), options);
        else if (verb.takes === 'takeSnapshot') {
          const { diskOnly, quiesce }: SnapshotOptions = options ?? {};
          await run(verb, { name: String(first), diskOnly, quiesce }, options);
        } else if (verb.takes === 'revert') {
          const { keep }: RevertOptions = options ?? {};
          await run(verb, { name: String(first), first: keep }, options);
        } else await run(verb, { name: String(first) }, options);
      },
    ]),
  ) as unknown as EnvironmentVerbs;

  function vmVerbs(vm: string): VmVerbs {
    const verbs = allVerbs().filter(takesVms);
    return Object.fromEntries(
      verbs.map((verb) => [camel(verb.kind), async (options?: CallOptions) => await run(verb, inputFor(verb, [vm], options), options)]),
    ) as unknown as VmVerbs;
  }

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
      ...vmVerbs(vm),
      ssh: async (command, options = {}) => await engine.vm.exec(path, { vm, command, ...options }),
      copyTo: async (local, remote, options) =>
        (await follow((action) => engine.vm.copyTo(path, { vm, local, remote }, action), options)).target,
      copyFrom: async (remote, local, options) =>
        (await follow((action) => engine.vm.copyFrom(path, { vm, local, remote }, action), options)).target,
      service: async (service, options) => await engine.vm.service(path, vm, service, options?.signal),
    };
  }

  return {
    name,
    path,
    status,
    ...environmentVerbs,
    ...snapshotCalls(engine, path, follow, (fork, its) => environmentAt(engine, fork, its, follow)),
    collect: async (vms, options) => {
      const { signal, ...request } = options ?? {};
      return await follow((action) => engine.prefix.collect(path, { ...request, vms }, action), { signal });
    },
    vms: async () => Object.fromEntries((await status()).vms.map((vm) => [vm.name, vmNamed(vm.name)])),
    vm: async (vm) => {
      const found = vmNamed(vm);
      await found.info();
      return found;
    },
    nets: async () => Object.fromEntries((await status()).networks.map((net) => [net.name, net])),
  };
}

/** Kinds of input that are given as one object. */
const OBJECTS: ReadonlySet<VerbInputKind> = new Set<VerbInputKind>(['deploy', 'editSnapshot', 'pruneSnapshots']);

function takesVms(verb: NamedVerb): boolean {
  return verb.takes === 'vms' || verb.takes === 'shutdown';
}

/** The input of a verb that takes VMs. */
function inputFor(verb: NamedVerb, vms: readonly string[] | undefined, options: ShutdownOptions = {}): VerbInputs[VerbInputKind] {
  return verb.takes === 'shutdown' ? { vms, reboot: options.reboot, forceAfter: options.forceAfter } : { vms };
}

function camel(kind: string): string {
  return kind.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
