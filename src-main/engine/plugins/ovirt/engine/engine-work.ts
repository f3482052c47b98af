import { EngineError } from '../../../../../src-shared/errors.ts';
import type { OvirtVersion } from '../cpu/cpu-families.ts';
import { at, type EngineClient, type EngineItem, pause, textAt } from './engine-client.ts';

/** Lago's limits. */
const HOSTS_MS = 300_000;
const STOP_VMS_MS = 300_000;
const STORAGE_MS = 300_000;
const CLUSTER_MS = 120_000;

/** What an engine calls the VM that it runs in itself. */
const ENGINE_VM = 'HostedEngine';

/** How to wait: tests look more often. */
export interface Waiting {
  readonly signal: AbortSignal;
  /** Default 3 s. */
  readonly everyMs?: number;
}

/** States that a host does not leave by itself, in words. */
const HOST_FAILURES: Readonly<Record<string, string>> = {
  non_operational: 'is in non operational state',
  install_failed: 'installation failed',
};

/** Activates the hosts that are in maintenance, and waits until they are up. */
export async function startHosts(engine: EngineClient, waiting: Waiting): Promise<void> {
  const hosts = await engine.list('hosts', 'status=maintenance');
  for (const host of hosts) await engine.act('hosts', host.id, 'activate');
  for (const host of hosts) {
    await untilState(engine, 'hosts', host, 'up', { ...waiting, what: `Host ${host.name}`, failures: HOST_FAILURES, timeoutMs: HOSTS_MS });
  }
}

/**
 * Stops all VMs of the engine, puts the hosts that are up into maintenance, and waits for that. The host that the engine itself runs on stays
 * up: it could not say any more that it is in maintenance.
 */
export async function stopHosts(engine: EngineClient, waiting: Waiting): Promise<void> {
  const [itself] = await engine.list('vms', `name=${ENGINE_VM}`);
  const hosts = (await engine.list('hosts', 'status=up')).filter(({ id }) => id !== textAt(itself?.said, 'host', 'id'));
  if (hosts.length === 0) return;
  await stopVms(engine, waiting);
  for (const host of hosts) await engine.act('hosts', host.id, 'deactivate');
  const failures = { ...HOST_FAILURES, non_responsive: 'is in non responsive state' };
  for (const host of hosts) {
    await untilState(engine, 'hosts', host, 'maintenance', { ...waiting, what: `Host ${host.name}`, failures, timeoutMs: HOSTS_MS });
  }
}

/** Starts the engine's VMs that are down, and waits until they are up. */
export async function startVms(engine: EngineClient, timeoutMs: number, waiting: Waiting): Promise<void> {
  const vms = await engine.list('vms', 'status=down');
  for (const vm of vms) await engine.act('vms', vm.id, 'start');
  for (const vm of vms) await untilState(engine, 'vms', vm, 'up', { ...waiting, what: `VM ${vm.name} of the engine`, timeoutMs });
}

/** Stops the engine's VMs that are up, but for the one that the engine itself runs in, and waits until they are down. */
export async function stopVms(engine: EngineClient, waiting: Waiting): Promise<void> {
  const vms = await engine.list('vms', `status=up and name!=${ENGINE_VM}`);
  for (const vm of vms) await engine.act('vms', vm.id, 'stop');
  for (const vm of vms) {
    await untilState(engine, 'vms', vm, 'down', { ...waiting, what: `VM ${vm.name} of the engine`, timeoutMs: STOP_VMS_MS });
  }
}

/** Gives the clusters the CPU type that `family` tells for their compatibility version, and waits until they have it; returns their names. */
export async function updateClusters(
  engine: EngineClient,
  family: (version: OvirtVersion) => Promise<string>,
  waiting: Waiting,
): Promise<readonly string[]> {
  // The old generation has it as an id.
  const key = engine.version === 4 ? 'type' : 'id';
  const typeOf = ({ said }: EngineItem): string | undefined => textAt(said, 'cpu', key);
  const changed: string[] = [];
  for (const cluster of await engine.list('clusters')) {
    const level = (part: string): number => Number(textAt(cluster.said, 'version', part) ?? NaN);
    const [major, minor] = [level('major'), level('minor')];
    const type = await family(Number.isNaN(major) ? { major: engine.version, minor: 0 } : { major, minor: minor || 0 });
    if (typeOf(cluster) === type) continue;
    await engine.change('clusters', cluster.id, { cpu: { [key]: type } });
    const end = Date.now() + CLUSTER_MS;
    for (;;) {
      const now = typeOf(await engine.get('clusters', cluster.id));
      if (now === type) break;
      await nextLook(end, waiting, `Cluster ${cluster.name} has the CPU type ${now ?? 'undefined'} and does not get ${type}.`);
    }
    changed.push(cluster.name);
  }
  return changed;
}

/** Waits until the storage domains of all data centers are active. */
export async function waitForStorage(engine: EngineClient, waiting: Waiting): Promise<void> {
  for (const center of await engine.list('data_centers')) {
    const end = Date.now() + STORAGE_MS;
    for (;;) {
      const rest = (await engine.list(`data_centers/${center.id}/storage_domains`)).filter(({ status }) => status !== 'active');
      if (rest.length === 0) break;
      const names = rest.map(({ name, status }) => `${name} (${status})`).join(', ');
      await nextLook(end, waiting, `The storage domains of data center ${center.name} do not become active: ${names}.`);
    }
  }
}

/** What `lago ovirt status` shows, in Lago's form. */
export function engineStatus(
  engine: EngineClient,
  access: { readonly ip: string | null; readonly user: string; readonly password: string },
): object {
  const version = at(engine.about, 'product_info', 'version');
  const numbers = ['major', 'minor'].flatMap((key) => textAt(version, key) ?? []);
  const summary = at(engine.about, 'summary');
  const counts = typeof summary === 'object' && summary !== null ? Object.entries(summary) : [];
  return {
    global: {
      version: textAt(version, 'full_version') ?? numbers.join('.'),
      web_ui: { url: access.ip, username: access.user, password: access.password },
    },
    items: Object.fromEntries(
      counts.map(([name, count]) => [name, { total: Number(at(count, 'total') ?? 0), active: Number(at(count, 'active') ?? 0) }]),
    ),
  };
}

interface StateWait extends Waiting {
  readonly what: string;
  readonly timeoutMs: number;
  readonly failures?: Readonly<Record<string, string>>;
}

async function untilState(engine: EngineClient, collection: string, item: EngineItem, state: string, wait: StateWait): Promise<void> {
  const end = Date.now() + wait.timeoutMs;
  for (;;) {
    const { status } = await engine.get(collection, item.id);
    if (status === state) return;
    const failure = wait.failures?.[status];
    if (failure !== undefined) throw new EngineError('guest.failed', `${wait.what} ${failure}.`);
    await nextLook(end, wait, `${wait.what} is ${status} and does not become ${state}.`);
  }
}

async function nextLook(end: number, { everyMs = 3000, signal }: Waiting, message: string): Promise<void> {
  if (Date.now() + everyMs > end) throw new EngineError('guest.failed', message, { hint: "Look at the engine's events and at its logs." });
  await pause(everyMs, signal);
}
