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
  /** Removes leases whose environment is gone and returns them. */
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
  /** The words that start the program. */
  readonly command: readonly string[];
  readonly version: string;
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** Replaces the default lago.conf paths. */
  readonly configFiles?: readonly string[];
}

/** What a verb works with. The constructor throws `input.invalid` when the configuration names an unknown output format. */
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

  /** Prints one or more lines on stdout. */
  print(text: string): void {
    this.around.stdout.write(`${text}\n`);
  }

  /** Prints a value on stdout in the chosen format. `kept` is for JSON whose key order is documented. */
  printValue(value: unknown, order: KeyOrder = 'sorted'): void {
    this.print(formatValue(this.#format, value, order));
  }

  settings(): EngineSettings {
    return engineSettings(this.config);
  }

  /** How the command line and the configuration select the prefix; `prefix` resolves it. */
  location(): ResolveRequest {
    const path = this.config.entry('prefix_path');
    const workdir = this.config.entry('workdir_path');
    const name = this.config.entry('prefix_name');
    // A prefix path from the environment must not override a workdir or name given on the command line.
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

  /** Opens the engine for `work` and closes it afterwards. */
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

  /** The engine's log for messages outside operations. */
  engineLog(): Log {
    return createLog((level, message) => this.log.message(level === 'warn' ? 'warning' : level, message));
  }

  /** Prints an operation's progress, cancels it on a signal, and returns its result. */
  async follow<T>(begin: (options: ActionOptions) => Operation<T>): Promise<T> {
    const operation = begin({ signal: this.signal, onEvent: (event) => this.log.event(event) });
    const forget = operation.onState((state) => this.log.progress(currentDetail(state)));
    const cancel = (): void => operation.cancel();
    this.signal.addEventListener('abort', cancel, { once: true });
    // The signal may have been aborted before the listener was added.
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

/** Runs a verb and returns the exit code. */
export type VerbHandler = (context: VerbContext) => Promise<number>;

/** The detail of the innermost running step that has one. */
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
