import { resolve } from 'node:path';
import type { Engine, PrefixLocation, Step, VerbCall } from '../contract.ts';
import type { EngineClient } from './engine/engine-client.ts';
import type { OvirtVms } from './engine/engine-vm.ts';
import type * as Work from './engine/engine-work.ts';

/** Options, and the actions they belong to. */
const OPTION_OWNERS: Readonly<Record<string, readonly string[]>> = {
  junitxml_file: ['runtest'],
  python: ['runtest'],
  with_vms: ['start'],
  vms_timeout: ['start', 'start-vms'],
  config: ['engine-setup'],
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
      return await onEngineVm(call, 'Upload an image', async ({ engine, prefix, vms }, step) => {
        const { addIso } = await import('./engine/engine-vm.ts');
        await addIso(engine, prefix, vms.engine.name, resolve(call.cwd, path), step);
      });
    }
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
      return await onEngineVm(call, 'Set up the engine', async ({ engine, prefix, vms }, step) => {
        const { engineSetup } = await import('./engine/engine-vm.ts');
        await engineSetup(engine, prefix, vms.engine.name, resolve(call.cwd, config), step);
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
      return await start(call);
    case 'stop':
      return await stop(call);
    case 'status':
      return await status(call);
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

/** What is worked on. */
interface Environment {
  readonly engine: Engine;
  readonly prefix: PrefixLocation;
  readonly vms: OvirtVms;
}

async function inEnvironment<T>(call: VerbCall, work: (environment: Environment) => Promise<T>): Promise<T> {
  const prefix = await call.prefix();
  const { ovirtVms } = await import('./engine/engine-vm.ts');
  const vms = await ovirtVms(call, prefix);
  return await call.withEngine(async (engine) => await work({ engine, prefix, vms }));
}

/** One task on the engine's VM. */
async function onEngineVm(call: VerbCall, label: string, work: (environment: Environment, step: Step) => Promise<void>): Promise<number> {
  await inEnvironment(call, async (environment) => {
    await call.task(label, async (all) => await all.step(label, async (step) => await work(environment, step)));
  });
  return 0;
}

/** One task on the engine's API. */
async function onApi(
  call: VerbCall,
  label: string,
  work: (api: EngineClient, engineWork: typeof Work, step: Step, environment: Environment) => Promise<void>,
): Promise<number> {
  return await onEngineVm(
    call,
    label,
    async (environment, step) => await useApi(environment, step, async (api, own) => await work(api, own, step, environment)),
  );
}

async function useApi<T>(
  { engine, prefix, vms }: Environment,
  step: Step,
  work: (api: EngineClient, engineWork: typeof Work) => Promise<T>,
): Promise<T> {
  const [{ connectEngine }, engineWork] = await Promise.all([import('./engine/engine-vm.ts'), import('./engine/engine-work.ts')]);
  using api = await connectEngine(engine, prefix, vms.engine, step);
  return await work(api, engineWork);
}

async function status(call: VerbCall): Promise<number> {
  const { addressOf, ENGINE_USER, passwordOf } = await import('./engine/engine-vm.ts');
  return await onApi(call, 'Asking the engine', async (api, { engineStatus }, _step, { vms }) => {
    const access = { ip: addressOf(vms.engine), user: ENGINE_USER, password: passwordOf(vms.engine) };
    call.printValue(engineStatus(api, access));
    await Promise.resolve();
  });
}

async function start(call: VerbCall): Promise<number> {
  const { addressOf, ENGINE_USER, passwordOf, waitForService } = await import('./engine/engine-vm.ts');
  await inEnvironment(call, async (environment) => {
    const { engine, prefix, vms } = environment;
    await call.follow((options) => engine.prefix.start(prefix.path, {}, options));
    await call.task('Start oVirt environment', async (all) => {
      await all.step('Waiting for ovirt-engine status', async (step) => {
        await waitForService(engine, prefix, vms.engine.name, 'ovirt-engine', step);
      });
      await all.step('Waiting for vdsmd status', async (step) => {
        await step.each(
          vms.hosts,
          4,
          ({ name }) => name,
          async ({ name }, own) => await waitForService(engine, prefix, name, 'vdsmd', own),
        );
      });
      await useApi(environment, all, async (api, work) => {
        await all.step('Activating Engine Hosts', async (step) => await work.startHosts(api, step));
        if (call.values['with_vms'] !== true) return;
        await all.step('Waiting for Storage domains to be in active mode', async (step) => await work.waitForStorage(api, step));
        await all.step('Starting Engine VMs', async (step) => await work.startVms(api, vmsTimeout(call), step));
      });
    });
    const [user] = ENGINE_USER.split('@');
    const password = passwordOf(vms.engine);
    call.log.info('The environment is ready to be used.');
    call.print(`Web UI: https://${addressOf(vms.engine) ?? vms.engine.name}\nUsername: ${user}\nPassword: ${password}`);
  });
  return 0;
}

async function stop(call: VerbCall): Promise<number> {
  await inEnvironment(call, async (environment) => {
    const { engine, prefix } = environment;
    await call.task('Stop oVirt environment', async (all) => {
      await useApi(environment, all, async (api, work) => {
        await all.step('Stopping Engine VMs', async (step) => await work.stopVms(api, step));
        await all.step('Putting hosts in maintenance mode', async (step) => await work.stopHosts(api, step));
      });
    });
    await call.follow((options) => engine.prefix.shutdown(prefix.path, {}, options));
  });
  return 0;
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
  const given = call.values['args'];
  const words = Array.isArray(given) ? (given as readonly string[]) : [];
  if (words.length === wanted.length) return words;
  const what = words.length < wanted.length ? 'something is missing' : `there is too much: ${words.slice(wanted.length).join(' ')}`;
  return call.fail(`ovirt ${action}: ${what}.`, `Write: ${['lago ovirt', action, ...wanted].join(' ')}`);
}
