import { resolve } from 'node:path';
import type { Step, VerbCall } from '../contract.ts';
import type { EngineClient } from './engine/engine-client.ts';
import type * as Work from './engine/engine-work.ts';
import type { Environment } from './ovirt-vms.ts';

/** Options, and the actions they belong to. */
const OPTION_OWNERS: Readonly<Record<string, readonly string[]>> = {
  junitxml_file: ['runtest'],
  python: ['runtest'],
  with_vms: ['start'],
  vms_timeout: ['start', 'start-vms'],
  config: ['engine-setup'],
  engine_version: ['cpu-family'],
  output: ['collect'],
  no_skip: ['collect'],
  ...Object.fromEntries(
    [
      'rpm_repo',
      'reposync_yum_config',
      'skip_sync',
      'custom_source',
      'repo_name',
      'repoman_config',
      'engine_dir',
      'vdsm_dir',
      'ioprocess_dir',
    ].map((name) => [name, ['reposetup']]),
  ),
};

/** Seconds. */
const DEFAULT_VMS_TIMEOUT = 480;

/** Does what a command line of `lago ovirt` says, and returns the exit code. */
export async function runAction(call: VerbCall): Promise<number> {
  const action = text(call, 'action') ?? '';
  for (const [name, owners] of Object.entries(OPTION_OWNERS)) {
    if (call.values[name] !== undefined && !owners.includes(action)) {
      call.fail(`argument --${name.replaceAll('_', '-')}: only "ovirt ${owners.join('" and "ovirt ')}" has it.`);
    }
  }
  switch (action) {
    case 'runtest': {
      const [file = ''] = take(call, action, ['FILE']);
      const { runtest } = await import('./runtest/runtest.ts');
      return await runtest(call, { file, junitxml: text(call, 'junitxml_file'), python: text(call, 'python') });
    }
    case 'add-iso': {
      const [path = ''] = take(call, action, ['PATH']);
      return await onEnvironment(call, 'Upload an image', async (environment, step) => {
        const [{ addIso }, { engineVm }] = await Promise.all([import('./engine/engine-vm.ts'), import('./ovirt-vms.ts')]);
        const { name } = engineVm(environment, 'ovirt-iso-uploader');
        await addIso(environment.engine, environment.prefix, name, resolve(call.cwd, path), step);
      });
    }
    case 'cpu-family':
      if (words(call).length > 1) take(call, action, ['[VM]']);
      return await printFamily(call);
    default:
      take(call, action, []);
      return await withoutWords(call, action);
  }
}

async function withoutWords(call: VerbCall, action: string): Promise<number> {
  switch (action) {
    case 'reposetup':
      return await (await import('./repositories.ts')).reposetup(call);
    case 'serve':
      return await (await import('./repositories.ts')).serve(call);
    case 'engine-setup': {
      const config =
        text(call, 'config') ?? call.fail('ovirt engine-setup: --config FILE is missing.', 'FILE has the answers to its questions.');
      return await onEnvironment(call, 'Set up the engine', async (environment, step) => {
        const [{ engineSetup }, { engineVm }] = await Promise.all([import('./engine/engine-vm.ts'), import('./ovirt-vms.ts')]);
        const { name } = engineVm(environment, 'engine-setup');
        await engineSetup(environment.engine, environment.prefix, name, resolve(call.cwd, config), step);
      });
    }
    case 'collect':
      return await collect(call);
    case 'deploy': {
      const prefix = await call.prefix();
      return await call.withEngine(async (engine) => {
        await call.follow((options) => engine.prefix.deploy(prefix.path, {}, options));
        return 0;
      });
    }
    case 'start':
      return await inEnvironment(call, async (environment) => {
        await (await import('./lifecycle.ts')).start(call, environment, vmsTimeout(call));
      });
    case 'stop':
      return await inEnvironment(call, async (environment) => await (await import('./lifecycle.ts')).stop(call, environment));
    case 'status':
      return await onEnvironment(call, 'Asking the engine', async (environment, step) => {
        await (await import('./lifecycle.ts')).status(call, environment, step);
      });
    case 'start-hosts':
      return await onApi(call, 'Activating Engine Hosts', async (api, work, step) => await work.startHosts(api, step));
    case 'stop-hosts':
      return await onApi(call, 'Putting hosts in maintenance mode', async (api, work, step) => await work.stopHosts(api, step));
    case 'start-vms':
      return await onApi(call, 'Starting Engine VMs', async (api, work, step) => await work.startVms(api, vmsTimeout(call), step));
    case 'stop-vms':
      return await onApi(call, 'Stopping Engine VMs', async (api, work, step) => await work.stopVms(api, step));
    default:
      return call.fail(`"ovirt ${action}" is not known.`);
  }
}

/** One task on the environment. */
async function onEnvironment(
  call: VerbCall,
  label: string,
  work: (environment: Environment, step: Step) => Promise<void>,
): Promise<number> {
  return await inEnvironment(call, async (environment) => {
    await call.task(label, async (all) => await all.step(label, async (step) => await work(environment, step)));
  });
}

async function inEnvironment(call: VerbCall, work: (environment: Environment) => Promise<void>): Promise<number> {
  const prefix = await call.prefix();
  const { ovirtEnvironment } = await import('./ovirt-vms.ts');
  await call.withEngine(async (engine) => await work(await ovirtEnvironment(call, prefix, engine)));
  return 0;
}

/** One task on the engine's API. */
async function onApi(
  call: VerbCall,
  label: string,
  work: (api: EngineClient, engineWork: typeof Work, step: Step) => Promise<void>,
): Promise<number> {
  return await onEnvironment(call, label, async (environment, step) => {
    const [{ useApi }, engineWork] = await Promise.all([import('./lifecycle.ts'), import('./engine/engine-work.ts')]);
    await useApi(environment, step, async (api) => await work(api, engineWork, step));
  });
}

async function printFamily(call: VerbCall): Promise<number> {
  const { cpuFamily, parseVersion } = await import('./cpu/cpu-family.ts');
  const given = text(call, 'engine_version');
  const version = given === undefined ? undefined : parseVersion(given);
  if (given !== undefined && version === undefined)
    call.fail(`argument --engine-version: "${given}" is no version.`, 'Write one like 4.4.');
  const prefix = await call.prefix();
  const [vm] = words(call);
  return await call.withEngine(async (engine) => {
    call.print(await cpuFamily(call, { engine, prefix, vm, version, signal: call.signal }));
    return 0;
  });
}

async function collect(call: VerbCall): Promise<number> {
  const output = text(call, 'output') ?? call.fail('ovirt collect: --output DIR is missing.');
  const prefix = await call.prefix();
  call.log.warn("'lago ovirt collect' is deprecated, redirecting to 'lago collect'");
  const request = { output: resolve(call.cwd, output), noSkip: call.values['no_skip'] === true };
  return await call.withEngine(async (engine) => {
    const { folder } = await call.follow((options) => engine.prefix.collect(prefix.path, request, options));
    call.print(folder);
    return 0;
  });
}

/** In ms. */
function vmsTimeout(call: VerbCall): number {
  return Number(text(call, 'vms_timeout') ?? DEFAULT_VMS_TIMEOUT) * 1000;
}

function text(call: VerbCall, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The words after the action, exactly as many as it needs. */
function take(call: VerbCall, action: string, wanted: readonly string[]): readonly string[] {
  const given = words(call);
  if (given.length === wanted.length) return given;
  const what = given.length < wanted.length ? 'something is missing' : `there is too much: ${given.slice(wanted.length).join(' ')}`;
  return call.fail(`ovirt ${action}: ${what}.`, `Write: ${['lago ovirt', action, ...wanted].join(' ')}`);
}

function words(call: VerbCall): readonly string[] {
  const given = call.values['args'];
  return Array.isArray(given) ? (given as readonly string[]) : [];
}
