import { EngineError, isCancelled } from '../../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../../src-shared/specs.ts';
import { ENGINE_USER, type HostedEngine } from '../ovirt-vms.ts';
import { EngineClient, pause } from './engine-client.ts';
import type { Waiting } from './engine-work.ts';
import { type HostedStatus, parseHostedStatus, runningOn } from './hosted-status.ts';

/** The certificate of the engine's authority, which every host gets when it is added. */
const AUTHORITY = '/etc/pki/vdsm/certs/cacert.pem';
/** Where a host knows the engine's name from. */
const SETTINGS = '/etc/ovirt-hosted-engine/hosted-engine.conf';
/** Its VM has to boot, and the engine in it to begin to answer. */
const UP_MS = 900_000;
const DOWN_MS = 300_000;
const MAINTENANCE_MS = 180_000;

/** What the first host says that knows. */
export async function hostedStatus(hosted: HostedEngine, signal: AbortSignal): Promise<HostedStatus> {
  return await onFirst(hosted.on, 'tells of the hosted engine', async (host) =>
    parseHostedStatus(await hostedEngine(hosted, host, '--vm-status --json', signal)),
  );
}

/** Starts the engine's VM unless it runs already, and waits until the engine in it is in good health. */
export async function startEngineVm(hosted: HostedEngine, waiting: Waiting): Promise<void> {
  const end = Date.now() + UP_MS;
  let asked = false;
  for (;;) {
    const status = await knownStatus(hosted, waiting.signal);
    const running = typeof status === 'string' ? undefined : runningOn(status);
    if (running?.health === 'good') return;
    let problem = typeof status === 'string' ? status : `it is ${running?.detail ?? 'down'}, its health ${running?.health ?? 'bad'}.`;
    if (typeof status !== 'string' && running === undefined && !asked) {
      try {
        await onFirst(
          hosted.on,
          'starts the hosted engine',
          async (host) => await hostedEngine(hosted, host, '--vm-start', waiting.signal),
        );
        asked = true;
      } catch (error) {
        problem = messageOf(error);
      }
    }
    await nextLook(end, waiting, `The hosted engine does not come up: ${problem}`);
  }
}

/** Lets the engine's VM shut down, and waits until it is down. It is started again at once unless there is global maintenance. */
export async function shutDownEngineVm(hosted: HostedEngine, waiting: Waiting): Promise<void> {
  const running = runningOn(await hostedStatus(hosted, waiting.signal));
  if (running === undefined) return;
  const there = hosted.on.filter(({ name }) => name === running.host);
  const hosts = there.length > 0 ? there : hosted.on;
  await onFirst(hosts, 'shuts down the hosted engine', async (host) => await hostedEngine(hosted, host, '--vm-shutdown', waiting.signal));
  const end = Date.now() + DOWN_MS;
  for (;;) {
    const still = runningOn(await hostedStatus(hosted, waiting.signal));
    if (still === undefined) return;
    await nextLook(end, waiting, `The hosted engine does not shut down: on ${still.host} it is ${still.detail}.`);
  }
}

/** Sets global maintenance or ends it. Agents may miss it when they are busy, so that it is asked for until they say so. */
export async function setGlobalMaintenance(hosted: HostedEngine, on: boolean, waiting: Waiting): Promise<void> {
  const end = Date.now() + MAINTENANCE_MS;
  const mode = on ? 'global' : 'none';
  const isSo = async (): Promise<boolean> => (await hostedStatus(hosted, waiting.signal)).globalMaintenance === on;
  if (await isSo()) return;
  for (;;) {
    await onFirst(
      hosted.on,
      `sets maintenance mode ${mode}`,
      async (host) => await hostedEngine(hosted, host, `--set-maintenance --mode=${mode}`, waiting.signal),
    );
    if (await isSo()) return;
    await nextLook(end, waiting, `The hosts of the hosted engine do not take on maintenance mode ${mode}.`);
  }
}

/** By which name or address the hosts know the engine. */
export async function hostedName(hosted: HostedEngine, signal: AbortSignal): Promise<string> {
  return await onFirst(hosted.on, 'knows the name of the engine', async (host) => await nameOn(hosted, host, signal));
}

/** The engine's REST API, over the ssh of a host, trusted by the authority that signed that host's own certificate too. */
export async function connectHosted(hosted: HostedEngine, signal: AbortSignal): Promise<EngineClient> {
  const { engine, prefix, password } = hosted;
  const { via, host, authority } = await onFirst(hosted.on, 'knows the engine', async (vm) => ({
    via: vm.name,
    host: await nameOn(hosted, vm, signal),
    authority: await inHost(hosted, vm, `cat ${AUTHORITY}`, signal),
  }));
  const open = async (asked: AbortSignal): ReturnType<typeof engine.vm.connectFrom> =>
    await engine.vm.connectFrom(prefix.path, { vm: via, host, port: 443 }, asked);
  return await EngineClient.connect({ vm: host, host, user: ENGINE_USER, password, authority, open }, { signal });
}

async function nameOn(hosted: HostedEngine, host: VmSpec, signal: AbortSignal): Promise<string> {
  if (hosted.address !== null) return hosted.address;
  const settings = await inHost(hosted, host, `cat ${SETTINGS}`, signal);
  const name = /^fqdn=([\w.:-]+)\s*$/m.exec(settings)?.[1];
  if (name !== undefined) return name;
  throw new EngineError('guest.failed', `${SETTINGS} of VM ${host.name} has no name of the engine (fqdn).`);
}

async function hostedEngine(hosted: HostedEngine, host: VmSpec, words: string, signal: AbortSignal): Promise<string> {
  // It waits for its storage for ever.
  return await inHost(hosted, host, `timeout 60 hosted-engine ${words}`, signal);
}

async function inHost({ engine, prefix }: HostedEngine, host: VmSpec, command: string, signal: AbortSignal): Promise<string> {
  const { code, stdout, stderr } = await engine.vm.exec(prefix.path, { vm: host.name, command, signal });
  if (code === 0) return stdout;
  const said = (stderr.trim() || stdout.trim()).split('\n').at(-1) ?? '';
  throw new EngineError('guest.failed', `"${command}" ended with ${code} on VM ${host.name}${said === '' ? '' : `: ${said}`}`);
}

/** What one of the hosts answers, the first that can. */
async function onFirst<T>(hosts: readonly VmSpec[], what: string, ask: (host: VmSpec) => Promise<T>): Promise<T> {
  const problems: string[] = [];
  for (const host of hosts) {
    try {
      return await ask(host);
    } catch (error) {
      if (!(error instanceof EngineError) || isCancelled(error)) throw error;
      problems.push(error.message);
    }
  }
  throw new EngineError('guest.failed', `No host ${what}: ${problems.join(' ')}`, {
    hint: 'See whether hosted-engine was deployed on them: lago shell HOST hosted-engine --vm-status.',
  });
}

/** The status, or why there is none yet: after a start the hosts need their shared storage first. */
async function knownStatus(hosted: HostedEngine, signal: AbortSignal): Promise<HostedStatus | string> {
  try {
    return await hostedStatus(hosted, signal);
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'guest.failed') throw error;
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof EngineError) || isCancelled(error)) throw error;
  return error.message;
}

async function nextLook(end: number, { everyMs = 3000, signal }: Waiting, message: string): Promise<void> {
  if (Date.now() + everyMs > end) {
    throw new EngineError('guest.failed', message, { hint: 'Look at /var/log/ovirt-hosted-engine-ha of the hosts.' });
  }
  await pause(everyMs, signal);
}
