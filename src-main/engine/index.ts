import type { EnvironmentSpecs } from '../../src-shared/specs.ts';
import { engineSettings, loadConfig } from './configuration/config.ts';
import type { EngineSettings } from './configuration/settings.ts';
import type { Log } from './core/log.ts';
import type { startOperation as StartOperation } from './core/operation.ts';
import type { run as Run } from './core/run.ts';
import type { Engine } from './engine.ts';
import type { EngineOptions } from './engine-options.ts';
import type { RunningHost } from './host/running-hosts.ts';
import type { Lease } from './net/leases.ts';
import { openPlugins, pluginWarnings } from './plugins/open.ts';
import type { PluginRegistry } from './plugins/registry.ts';

export { createRouter, type FrontDoor, type RouterDeps } from './api.ts';
export { callVerb } from './call-verb.ts';
export { Config, engineSettings, generateConfig, loadConfig } from './configuration/config.ts';
export type { EngineSettings } from './configuration/settings.ts';
export type { CopyRequest, CopyResult } from './copy/copy-request.ts';
export { createLog, type Log, type LogLevel, silentLog } from './core/log.ts';
export type { Operation, OperationEvent } from './core/operation.ts';
export type { CreateRequest } from './create/create-request.ts';
/** The engine's entry point: what command line, window, tests and benchmarks may import. Heavy modules are loaded when first called. */
export type { ActionOptions, Engine } from './engine.ts';
export type { EngineOptions } from './engine-options.ts';
export type { ExportRequest, ExportResult } from './export/export-request.ts';
export type { GuestService, ServiceState } from './guest/services.ts';
export type { ExecResult } from './guest/ssh.ts';
export type { RunningHost } from './host/running-hosts.ts';
export type { Lease } from './net/leases.ts';
export {
  type CliPlugin,
  definePlugin,
  type ForeignProvider,
  type KeyOrder,
  type OutputPlugin,
  type Plain,
  type Plugin,
  type ProvidedVm,
  type ProviderCall,
  type ServicePlugin,
  type VerbCall,
  type VmProviderPlugin,
  type VmTypePlugin,
} from './plugins/contract.ts';
export { openPlugins, pluginWarnings } from './plugins/open.ts';
export { createRegistry, type PluginRegistry } from './plugins/registry.ts';
export type { PrefixLocation } from './prefix/location.ts';
export { findPrefixes, isWorkdir, newPrefixName, type ResolveRequest, resolvePrefix, resolveWorkdir, Workdir } from './prefix/workdir.ts';
export type { CollectRequest } from './recipes/collect/collect-request.ts';
export type { SnapshotExportResult } from './recipes/portable/portable-request.ts';
export type { RepoRequest } from './recipes/repos/repo-request.ts';
export type { StoredRepo } from './repos/store/stored.ts';
export type { SyncResult } from './repos/sync-result.ts';
export { findResources } from './resources-dir.ts';
export type { Forward, ForwardRequest } from './runtime/forward-request.ts';
export type { ExecRequest, ShellRequest, ShellSession } from './runtime/shell-request.ts';
export { createStreamTable, type StreamTable } from './streams.ts';

/** The effective settings of lago.conf and environment and the user's plugins, for front doors without a command line. */
export async function readSetUp(log: Log): Promise<{ readonly settings: EngineSettings; readonly plugins: PluginRegistry }> {
  const config = await loadConfig();
  const plugins = await openPlugins(config);
  for (const warning of pluginWarnings(plugins)) log.warn(warning);
  return { settings: engineSettings(config), plugins };
}

/** Opens the engine; dispose it when done. Running environments continue without it. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  return await (await import('./open.ts')).openEngine(options);
}

/** What the verbs of plugins work with: operations of their own, and programs. */
export async function pluginTools(): Promise<{ readonly startOperation: typeof StartOperation; readonly run: typeof Run }> {
  const [{ startOperation }, { run }] = await Promise.all([import('./core/operation.ts'), import('./core/run.ts')]);
  return { startOperation, run };
}

/** The saved definition of an environment. `prefix.missing`, `input.invalid` naming the damaged file. */
export async function readSpecs(prefix: string): Promise<EnvironmentSpecs> {
  const { readPrefix } = await import('./prefix/prefix.ts');
  return (await readPrefix(prefix)).specs;
}

/** The embedded hosts that this user runs, including those whose environment's folder is gone. */
export async function listRunningHosts(): Promise<readonly RunningHost[]> {
  return (await import('./host/running-hosts.ts')).runningHosts();
}

/** Ends and returns the hosts whose environment's folder is gone. */
export async function endOrphanedHosts(): Promise<readonly RunningHost[]> {
  return await (await import('./host/running-hosts.ts')).endOrphanedHosts();
}

/** All leases in a store. Read-only. */
export async function listLeases(dir: string): Promise<readonly Lease[]> {
  const { createLeaseStore } = await import('./net/leases.ts');
  return await createLeaseStore({ dir }).list();
}

/** Removes and returns the leases of environments that are gone. */
export async function freeStaleLeases(dir: string, signal: AbortSignal): Promise<readonly Lease[]> {
  const { createLeaseStore } = await import('./net/leases.ts');
  return await createLeaseStore({ dir }).reclaim({ signal });
}
