import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { PrefixLocation, VerbCall } from '../contract.ts';
import { distroOf, OVIRT_TYPES } from './vm-types.ts';

/** Projects whose builds Lago looked for in the environment, below `build/PROJECT/DISTRO`. */
const BUILT = ['vdsm', 'ovirt-engine', 'vdsm-jsonrpc-java', 'ioprocess'];
/** Options of Lago that have no effect since it takes builds as sources. */
const DEPRECATED = ['engine_dir', 'vdsm_dir', 'ioprocess_dir'];

/**
 * `lago ovirt reposetup`: synchronises the repositories for the distributions of engine and hosts, and merges them into the environment's
 * own: custom sources first, then what was built in the environment, then what was synchronised, as far as it is missing.
 */
export async function reposetup(call: VerbCall): Promise<number> {
  const prefix = await call.prefix();
  for (const name of DEPRECATED)
    if (call.values[name] !== undefined) call.log.warn(`Deprecated option --${name.replace('_', '-')} ignored`);
  const config = pathOf(call, 'reposync_yum_config') ?? configured(call, 'reposync_config');
  const custom = words(call, 'custom_source');
  if (config === undefined && custom.length === 0) {
    call.fail(
      'No reposync configuration file found or custom sources specified.',
      'Name one with --reposync-yum-config or --custom-source.',
    );
  }
  const distros = await distrosOf(call, prefix);
  const repos = {
    files: config === undefined ? [] : [config],
    distros,
    store: pathOf(call, 'rpm_repo') ?? configured(call, 'reposync_dir'),
  };
  const name = call.values['repo_name'];
  return await call.withEngine(async (engine) => {
    if (config !== undefined && call.values['skip_sync'] !== true) {
      await call.follow((options) => engine.repos.sync(prefix.path, repos, options));
    }
    const request = {
      sources: [...custom, ...(await builtIn(prefix, distros))],
      synced: config === undefined ? undefined : repos,
      folder: call.cwd,
      distros,
      repomanConfig: pathOf(call, 'repoman_config'),
      ...(typeof name === 'string' ? { name } : {}),
    };
    const result = await call.follow((options) => engine.repos.merge(prefix.path, request, options));
    for (const { distro, packages, path } of result.repos) call.print(`${distro}: ${packages} packages in ${path}`);
    return 0;
  });
}

/** `lago ovirt serve`: serves the environment's packages until it is interrupted, or the environment is stopped. */
export async function serve(call: VerbCall): Promise<number> {
  const prefix = await call.prefix();
  return await call.withEngine(async (engine) => {
    await using served = await engine.repos.serve(prefix.path, {}, call.signal);
    call.print(`${served.folder} is at ${served.url}`);
    await served.ended;
    return 0;
  });
}

/** Those of engine and hosts, or of all VMs where there are neither. */
async function distrosOf(call: VerbCall, prefix: PrefixLocation): Promise<readonly string[]> {
  const { vms } = await call.specs(prefix.path);
  const own = vms.filter((vm) => OVIRT_TYPES.includes(vm['vm-type']));
  return [...new Set((own.length > 0 ? own : vms).flatMap((vm) => distroOf(vm) ?? []))];
}

/** Folders of builds in the environment, those that there are. */
async function builtIn(prefix: PrefixLocation, distros: readonly string[]): Promise<readonly string[]> {
  const folders = distros.flatMap((distro) => BUILT.map((project) => join(prefix.path, 'build', project, distro)));
  const there = await Promise.all(folders.map(isFolder));
  return folders.filter((_, index) => there[index]).map((folder) => `${folder}:only-missing`);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

function pathOf(call: VerbCall, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === 'string' ? resolve(call.cwd, value) : undefined;
}

function configured(call: VerbCall, key: string): string | undefined {
  const value = call.config.get(key, 'lago');
  return value === undefined || value === '' ? undefined : resolve(value);
}

function words(call: VerbCall, name: string): readonly string[] {
  const value = call.values[name];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}
