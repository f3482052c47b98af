import { resolve } from 'node:path';
import {
  type ActionOptions,
  createLog,
  type Engine,
  engineSettings,
  findResources,
  type Log,
  type LogLevel,
  loadConfig,
  newPrefixName,
  type Operation,
  type OperationEvent,
  openEngine as openBareEngine,
  openPlugins,
  pluginWarnings,
  resolvePrefix,
} from '../engine/index.ts';
import { type Environment, environmentAt } from './environment.ts';
import type { CallOptions } from './follow.ts';

/**
 * The SDK, imported with `import { openEngine } from 'lago-desktop'`: a thin typed layer over the engine, which runs in the calling
 * process. See docs/sdk.md.
 */
export type { CollectedArtifact, CollectedVm, Collection } from '../../src-shared/collection.ts';
export { EngineError, type ErrorCode } from '../../src-shared/errors.ts';
export type { Changes } from '../../src-shared/snapshot/changes.ts';
export type { RemovalChoice, RemovalPlan, RevertPlan } from '../../src-shared/snapshot/snapshot-plans.ts';
export type { NetworkState, PrefixState, VmState, VmStatus } from '../../src-shared/state.ts';
export type {
  CliPlugin,
  ExecResult,
  ForeignProvider,
  GuestService,
  LogLevel,
  OutputPlugin,
  Plain,
  Plugin,
  ProvidedVm,
  ProviderCall,
  ServicePlugin,
  ServiceState,
  SnapshotExportResult,
  VerbCall,
  VmProviderPlugin,
  VmTypePlugin,
} from '../engine/index.ts';
export { definePlugin } from '../engine/index.ts';
export type { CollectOptions, Environment, SshOptions, Vm } from './environment.ts';
export type { CallOptions } from './follow.ts';
export type { Between, ForkOptions } from './snapshot-calls.ts';

export interface OpenOptions {
  /**
   * Settings that override lago.conf and the environment: `uplink`, or `SECTION.KEY` for a verb's option, as in
   * `init.template_store`. `input.invalid` for values of the wrong kind.
   */
  readonly settings?: Readonly<Record<string, string>>;
  /** Receives log messages: each step of long work as it begins (level info) or fails, and the engine's other messages. */
  readonly log?: (level: LogLevel, message: string) => void;
}

export interface InitOptions extends CallOptions {
  /** Default `.lago` in the current folder; created when needed. */
  readonly workdir?: string;
  /** Name of the environment in the workdir, by default `default`. `prefix.exists` when it is taken. */
  readonly name?: string;
  readonly setCurrent?: boolean;
  readonly skipBootstrap?: boolean;
  readonly skipBuild?: boolean;
  /**
   * Files outside the init file's folder that it may use, and folders all of whose contents it may use. Relative paths are resolved
   * against the current folder. Any other such file is `input.invalid`.
   */
  readonly allowPaths?: readonly string[];
}

export type ResumeOptions = Pick<InitOptions, 'workdir' | 'name' | 'setCurrent' | 'signal'>;

export interface LoadOptions {
  /** By default the current environment of the workdir. */
  readonly name?: string;
}

/** An open engine. Close it when done (or declare it with `await using`); environments keep running. */
export interface Lago extends AsyncDisposable {
  /**
   * Creates an environment from an init file. Everything is checked before anything is created, and a failure leaves nothing behind.
   * `input.missing-file`; `input.invalid` with all errors of the file.
   */
  init(initFile: string, options?: InitOptions): Promise<Environment>;
  /**
   * Creates an environment that goes on from a snapshot that `exportSnapshot` wrote to a folder, with processes, memory and connections.
   * `input.missing-file` for another folder; `input.invalid` for a damaged one; `not-available` when its memory needs another machine.
   */
  resume(folder: string, options?: ResumeOptions): Promise<Environment>;
  /** Opens an existing environment, found as the verbs find it. `workdir.missing`, `prefix.missing`. */
  loadEnv(workdir?: string, options?: LoadOptions): Promise<Environment>;
  close(): Promise<void>;
}

/** Opens an engine with the user's lago.conf, environment and plugins. Starts nothing. Rejects with `EngineError`s. */
export async function openEngine(options: OpenOptions = {}): Promise<Lago> {
  const log = createLog(options.log ?? (() => undefined));
  const config = (await loadConfig()).withCommandLine(
    Object.entries(options.settings ?? {}).map(([name, value]) => {
      const [section, key] = name.includes('.') ? (name.split('.', 2) as [string, string]) : ['lago', name];
      return { section, key, value, option: `settings.${name}` };
    }),
  );
  const plugins = await openPlugins(config);
  for (const warning of pluginWarnings(plugins)) log.warn(warning);
  const engine = await openBareEngine({
    settings: engineSettings(config),
    resourcesDir: findResources(import.meta.dirname),
    plugins,
    log,
  });
  return lagoOn(engine, log);
}

function lagoOn(engine: Engine, log: Log): Lago {
  const follow = async <T>(begin: (action: ActionOptions) => Operation<T>, options: CallOptions | undefined): Promise<T> =>
    await begin({ signal: options?.signal, onEvent: (event) => tell(log, event) }).done;
  const close = async (): Promise<void> => await engine[Symbol.asyncDispose]();
  return {
    async init(initFile, options = {}) {
      const { workdir = '.lago', name: given, signal, ...choices } = options;
      const name = newPrefixName(given);
      const request = { initFile: resolve(initFile), workdir: resolve(workdir), name, start: false, ...choices };
      const { path } = await follow((action) => engine.prefix.create(request, action), { signal });
      return environmentAt(engine, path, name, follow);
    },
    async resume(folder, options = {}) {
      const { workdir = '.lago', name: given, setCurrent, signal } = options;
      const name = newPrefixName(given);
      const request = { folder: resolve(folder), workdir: resolve(workdir), name, setCurrent };
      const { path } = await follow((action) => engine.prefix.resumeExported(request, action), { signal });
      return environmentAt(engine, path, name, follow);
    },
    async loadEnv(workdir, options = {}) {
      const found = await resolvePrefix({
        cwd: process.cwd(),
        workdirPath: workdir === undefined ? undefined : resolve(workdir),
        prefixName: options.name,
      });
      return environmentAt(engine, found.path, found.name, follow);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function tell(log: Log, event: OperationEvent): void {
  const title = event.path.join(' / ');
  switch (event.type) {
    case 'log':
      log[event.level](event.message);
      break;
    case 'step-start':
      log.info(title);
      break;
    case 'step-end':
      if (event.status !== 'succeeded') log.warn(`${title}: ${event.status}`);
  }
}
