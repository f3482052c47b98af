import type { OperationState, StepState } from '../../src-shared/operation.ts';
import type { EnvironmentSpecs } from '../../src-shared/specs.ts';
import {
  type ActionOptions,
  type Config,
  createLog,
  type Engine,
  type EngineOptions,
  type EngineSettings,
  engineSettings,
  type Lease,
  type Log,
  type Operation,
  type OutputPlugin,
  type PluginRegistry,
  type PrefixLocation,
  type ResolveRequest,
  resolvePrefix,
} from '../engine/index.ts';
import { chosenFormat, formatValue } from './output/formats.ts';
import type { KeyOrder } from './output/plain.ts';
import type { ProgramSpec, Values } from './parser/table.ts';
import type { TaskLog } from './task-log.ts';

/** What the command line needs of the engine beyond plain functions; tests put a fake here. */
export interface EngineDoor {
  openEngine(options: EngineOptions): Promise<Engine>;
  /** The saved definition of an environment. */
  readSpecs(prefix: string): Promise<EnvironmentSpecs>;
  listLeases(dir: string): Promise<readonly Lease[]>;
  /** Removes leases whose environment is gone; answers them. */
  freeStaleLeases(dir: string, signal: AbortSignal): Promise<readonly Lease[]>;
}

/** Where a command runs: the process's own, or a test's. */
export interface Surroundings {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly door: EngineDoor;
  readonly resourcesDir: string;
  readonly version: string;
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** Other lago.conf files than the usual ones. */
  readonly configFiles?: readonly string[];
}

/** What a verb has at hand. Making one is `input.invalid` when the configuration names an output format that there is not. */
export class VerbContext {
  readonly around: Surroundings;
  readonly program: ProgramSpec;
  readonly config: Config;
  /** The verb's own options and positionals. */
  readonly values: Values;
  readonly log: TaskLog;
  readonly plugins: PluginRegistry;
  readonly #format: OutputPlugin;

  constructor(around: Surroundings, program: ProgramSpec, config: Config, values: Values, log: TaskLog, plugins: PluginRegistry) {
    this.around = around;
    this.program = program;
    this.config = config;
    this.values = values;
    this.log = log;
    this.plugins = plugins;
    this.#format = chosenFormat(config, plugins);
  }

  get signal(): AbortSignal {
    return this.around.signal;
  }

  get format(): string {
    return this.#format.name;
  }

  /** A line (or several) on stdout. */
  print(text: string): void {
    this.around.stdout.write(`${text}\n`);
  }

  /** A value on stdout in the chosen format. JSON keeps the order of its keys when that is documented (`kept`). */
  printValue(value: unknown, order: KeyOrder = 'sorted'): void {
    this.print(formatValue(this.#format, value, order));
  }

  settings(): EngineSettings {
    return engineSettings(this.config);
  }

  /** What the command line and the configuration say about which prefix is meant; see `prefix`. */
  location(): ResolveRequest {
    const path = this.config.entry('prefix_path');
    const workdir = this.config.entry('workdir_path');
    const name = this.config.entry('prefix_name');
    // A prefix path that comes from the environment must not overrule a workdir or a name that was typed.
    const overruled =
      path === undefined ||
      path.value === '' ||
      [workdir, name].some((other) => other !== undefined && other.source.rank > path.source.rank);
    return {
      cwd: this.around.cwd,
      ...(overruled ? {} : { prefixPath: path.value }),
      ...(workdir === undefined || workdir.value === '' ? {} : { workdirPath: workdir.value }),
      ...(name === undefined || name.source.layer === 'default' ? {} : { prefixName: name.value }),
    };
  }

  /** The prefix that the verb works on. */
  async prefix(): Promise<PrefixLocation> {
    return await resolvePrefix(this.location());
  }

  /** Opens the engine for `work` and closes it after. */
  async withEngine<T>(work: (engine: Engine) => Promise<T>, changes: Partial<EngineSettings> = {}): Promise<T> {
    const engine = await this.around.door.openEngine({
      settings: { ...this.settings(), ...changes },
      resourcesDir: this.around.resourcesDir,
      log: this.engineLog(),
      plugins: this.plugins,
    });
    try {
      return await work(engine);
    } finally {
      await engine[Symbol.asyncDispose]();
    }
  }

  /** What the engine says outside of operations. */
  engineLog(): Log {
    return createLog((level, message) => this.log.message(level === 'warn' ? 'warning' : level, message));
  }

  /** Prints an operation while it runs, cancels it on a signal, and answers what it answers. */
  async follow<T>(begin: (options: ActionOptions) => Operation<T>): Promise<T> {
    const operation = begin({ signal: this.signal, onEvent: (event) => this.log.event(event) });
    const forget = operation.onState((state) => this.log.progress(currentDetail(state)));
    const cancel = (): void => operation.cancel();
    this.signal.addEventListener('abort', cancel, { once: true });
    // It may have come before there was anything to cancel.
    if (this.signal.aborted) cancel();
    try {
      return await operation.done;
    } finally {
      this.signal.removeEventListener('abort', cancel);
      forget();
      this.log.progress(undefined);
    }
  }
}

/** What a verb's code is: answers the exit code. */
export type VerbHandler = (context: VerbContext) => Promise<number>;

/** The innermost running step that says what it is doing. */
export function currentDetail(state: Pick<OperationState, 'steps'>): string | undefined {
  const walk = (steps: readonly StepState[]): string | undefined => {
    for (const step of steps.toReversed()) {
      if (step.status !== 'running') continue;
      const inner = walk(step.steps);
      if (inner !== undefined) return inner;
      if (step.detail !== undefined) return `${step.label}: ${step.detail}`;
    }
    return undefined;
  };
  return walk(state.steps);
}
