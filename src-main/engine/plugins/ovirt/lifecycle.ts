import type { Step, VerbCall } from '../contract.ts';
import { cpuFamily } from './cpu/cpu-family.ts';
import type { EngineClient } from './engine/engine-client.ts';
import { connectOwn, waitForService } from './engine/engine-vm.ts';
import { engineStatus, startHosts, startVms, stopHosts, stopVms, updateClusters, waitForStorage } from './engine/engine-work.ts';
import { connectHosted, hostedName, hostedStatus, setGlobalMaintenance, shutDownEngineVm, startEngineVm } from './engine/hosted-engine.ts';
import { hostedSummary, runningOn } from './engine/hosted-status.ts';
import { addressOf, ENGINE_USER, type Environment } from './ovirt-vms.ts';

/** Works on the engine's REST API, wherever the engine is. */
export async function useApi<T>(environment: Environment, step: Step, work: (api: EngineClient) => Promise<T>): Promise<T> {
  const { signal } = step;
  using api = environment.kind === 'own' ? await connectOwn(environment, signal) : await connectHosted(environment, signal);
  return await work(api);
}

/** `lago ovirt start`. */
export async function start(call: VerbCall, environment: Environment, vmsTimeoutMs: number): Promise<void> {
  const { engine, prefix, password, hosts } = environment;
  await call.follow((options) => engine.prefix.start(prefix.path, {}, options));
  const url = await call.task('Start oVirt environment', async (all) => {
    if (environment.kind === 'own') {
      const { name } = environment.vm;
      await all.step('Waiting for ovirt-engine status', async (step) => await waitForService(engine, prefix, name, 'ovirt-engine', step));
    }
    await all.step('Waiting for vdsmd status', async (step) => {
      await step.each(
        hosts,
        4,
        ({ name }) => name,
        async ({ name }, own) => await waitForService(engine, prefix, name, 'vdsmd', own),
      );
    });
    if (environment.kind === 'hosted') {
      await all.step('Starting the hosted engine', async (step) => await startEngineVm(environment, step));
      await all.step('Leaving global maintenance', async (step) => await setGlobalMaintenance(environment, false, step));
    }
    await useApi(environment, all, async (api) => {
      await all.step('Updating Clusters CPU', async (step) => {
        const changed = await updateClusters(
          api,
          async (version) => await cpuFamily(call, { engine, prefix, version, signal: step.signal }),
          step,
        );
        for (const name of changed) step.log.info(`Cluster ${name} has the CPU type of its hosts now.`);
      });
      await all.step('Activating Engine Hosts', async (step) => await startHosts(api, step));
      if (call.values['with_vms'] !== true) return;
      await all.step('Waiting for Storage domains to be in active mode', async (step) => await waitForStorage(api, step));
      await all.step('Starting Engine VMs', async (step) => await startVms(api, vmsTimeoutMs, step));
    });
    return environment.kind === 'own' ? (addressOf(environment.vm) ?? environment.vm.name) : await hostedName(environment, all.signal);
  });
  const [user] = ENGINE_USER.split('@');
  call.log.info('The environment is ready to be used.');
  call.print(`Web UI: https://${url}\nUsername: ${user}\nPassword: ${password}`);
}

/** `lago ovirt stop`. The VM of a hosted engine goes last, under global maintenance: else another host would start it again. */
export async function stop(call: VerbCall, environment: Environment): Promise<void> {
  const { engine, prefix } = environment;
  await call.task('Stop oVirt environment', async (all) => {
    // A hosted one may be down already, after a stop that was interrupted.
    if (environment.kind === 'own' || runningOn(await hostedStatus(environment, all.signal)) !== undefined) {
      await useApi(environment, all, async (api) => {
        await all.step('Stopping Engine VMs', async (step) => await stopVms(api, step));
        await all.step('Putting hosts in maintenance mode', async (step) => await stopHosts(api, step));
      });
    }
    if (environment.kind === 'own') return;
    await all.step('Setting global maintenance', async (step) => await setGlobalMaintenance(environment, true, step));
    await all.step('Shutting down the hosted engine', async (step) => await shutDownEngineVm(environment, step));
  });
  await call.follow((options) => engine.prefix.shutdown(prefix.path, {}, options));
}

/** `lago ovirt status`: of a hosted engine also how its hosts see it, which is all that is known while it is down. */
export async function status(call: VerbCall, environment: Environment, step: Step): Promise<void> {
  const { password } = environment;
  const printed = async (ip: string | null, more: object): Promise<void> => {
    await useApi(environment, step, async (api) => {
      call.printValue({ ...engineStatus(api, { ip, user: ENGINE_USER, password }), ...more });
      await Promise.resolve();
    });
  };
  if (environment.kind === 'own') {
    await printed(addressOf(environment.vm), {});
    return;
  }
  const seen = await hostedStatus(environment, step.signal);
  const summary = { hosted_engine: hostedSummary(seen) };
  if (runningOn(seen)?.health === 'good') {
    await printed(await hostedName(environment, step.signal), summary);
    return;
  }
  call.log.warn('The engine is not in good health, so that only its hosts tell of it.');
  call.printValue(summary);
}
