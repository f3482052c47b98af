import { EngineError } from '../../../src-shared/errors.ts';
import type { ExecResult } from './ssh.ts';

/** What a service in a guest is doing; `missing` when the guest has none of that name. */
export type ServiceState = 'missing' | 'inactive' | 'active';

/** Runs a program in the guest. Each word reaches it as it is: no shell there takes any of it for its own. */
export type GuestExec = (argv: readonly string[]) => Promise<ExecResult>;

/** One way of looking after services in a guest. */
export interface ServiceProvider {
  readonly name: string;
  /** Its class in Lago, for init files with the old key `service_class`. */
  readonly className?: string;
  /** Whether the guest has it. */
  detect(exec: GuestExec): Promise<boolean>;
  state(exec: GuestExec, service: string): Promise<ServiceState>;
  /** Asked only for a service that is there and not active. A result with another code than 0 counts as failed. */
  start(exec: GuestExec, service: string): Promise<ExecResult>;
  /** Asked only for a service that is active. */
  stop(exec: GuestExec, service: string): Promise<ExecResult>;
}

/** A service of a VM. All calls reject with `guest.*` when the VM does not answer. */
export interface GuestService {
  readonly name: string;
  /** Name of the provider that looks after it. */
  provider(): Promise<string>;
  state(): Promise<ServiceState>;
  /** Nothing happens to one that is active. `guest.failed` when there is none of that name, or it does not start. */
  start(): Promise<void>;
  /** Nothing happens to one that is not active. `guest.failed` when it does not stop. */
  stop(): Promise<void>;
}

const NAME = /^[A-Za-z0-9_@][A-Za-z0-9_.@:\\-]{0,254}$/;

/** Refuses what cannot be a service's name: `input.invalid`. */
export function requireServiceName(name: string): void {
  if (NAME.test(name)) return;
  throw new EngineError('input.invalid', `"${name}" cannot be a service's name.`, {
    hint: 'Use letters, digits and . _ @ : \\ -, not beginning with a dash or dot.',
  });
}

/** Words as one command line of a POSIX shell, each quoted where it needs it. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/**
 * The provider that a VM's definition names (`service_provider`, else the class name in `service_class`), undefined when it names
 * none. `input.invalid`, naming those there are, for one that nobody offers.
 */
export function namedProvider(
  providers: readonly ServiceProvider[],
  vm: string,
  definition: Readonly<Record<string, unknown>>,
): ServiceProvider | undefined {
  const { service_provider: byName, service_class: byClass } = definition as Readonly<Record<string, string | null | undefined>>;
  const wanted = byName ?? byClass ?? undefined;
  if (wanted === undefined) return undefined;
  const found = providers.find(({ name, className }) => name === wanted || (wanted !== byName && className === wanted));
  if (found !== undefined) return found;
  throw new EngineError('input.invalid', `VM ${vm} names the service provider "${wanted}", which does not exist.`, {
    hint: `Available: ${providers.map((provider) => provider.name).join(', ')}.`,
  });
}

/** The first provider that the guest has. `guest.failed` when it has none. */
export async function detectProvider(providers: readonly ServiceProvider[], vm: string, exec: GuestExec): Promise<ServiceProvider> {
  for (const provider of providers) if (await provider.detect(exec)) return provider;
  throw new EngineError('guest.failed', `No service provider detected for ${vm}.`, {
    hint: `It has none of: ${providers.map((provider) => provider.name).join(', ')}.`,
  });
}

/** Lago's rules for starting. */
export async function startService(provider: ServiceProvider, vm: string, service: string, exec: GuestExec): Promise<void> {
  const state = await provider.state(exec, service);
  if (state === 'active') return;
  if (state === 'missing') throw new EngineError('guest.failed', `Service ${service} not present in ${vm}.`, { details: { service, vm } });
  requireDone('start', vm, service, await provider.start(exec, service));
}

/** Lago's rules for stopping. */
export async function stopService(provider: ServiceProvider, vm: string, service: string, exec: GuestExec): Promise<void> {
  if ((await provider.state(exec, service)) !== 'active') return;
  requireDone('stop', vm, service, await provider.stop(exec, service));
}

function requireDone(what: 'start' | 'stop', vm: string, service: string, result: ExecResult): void {
  if (result.code === 0) return;
  const said = (result.stderr.trim() || result.stdout.trim()).slice(-400);
  throw new EngineError('guest.failed', `Failed to ${what} service ${service} in ${vm}${said === '' ? '.' : `: ${said}`}`, {
    details: { service, vm, code: result.code },
  });
}

/** Whether the guest has one of these files. */
async function hasFile(exec: GuestExec, paths: readonly string[]): Promise<boolean> {
  for (const path of paths) if ((await exec(['test', '-e', path])).code === 0) return true;
  return false;
}

/** What `systemctl status` says: 0 is active; else the line `Loaded:` shows whether there is such a unit. */
function systemdState({ code, stdout }: ExecResult): ServiceState {
  if (code === 0) return 'active';
  const loaded = /^\s*Loaded:\s+(\S+)/m.exec(stdout)?.[1];
  return loaded === 'loaded' ? 'inactive' : 'missing';
}

const systemd: ServiceProvider = {
  name: 'systemd',
  className: 'SystemdService',
  detect: async (exec) => await hasFile(exec, ['/usr/bin/systemctl', '/bin/systemctl']),
  state: async (exec, service) => systemdState(await exec(['systemctl', 'status', '--lines=0', service])),
  start: async (exec, service) => await exec(['systemctl', 'start', service]),
  stop: async (exec, service) => await exec(['systemctl', 'stop', service]),
};

/** `service NAME status`: 0 is active; one that is there says that it is stopped. */
function sysvState({ code, stdout }: ExecResult): ServiceState {
  if (code === 0) return 'active';
  return /is (stopped|not running)\.?\s*$/.test(stdout) ? 'inactive' : 'missing';
}

/** Where `service` lies: ssh gives a PATH without the folders of root's programs on some guests. */
async function serviceProgram(exec: GuestExec): Promise<string> {
  return (await hasFile(exec, ['/sbin/service'])) ? '/sbin/service' : '/usr/sbin/service';
}

const sysvinit: ServiceProvider = {
  name: 'sysvinit',
  className: 'SysVInitService',
  detect: async (exec) => await hasFile(exec, ['/sbin/service', '/usr/sbin/service']),
  state: async (exec, service) => sysvState(await exec([await serviceProgram(exec), service, 'status'])),
  start: async (exec, service) => await exec([await serviceProgram(exec), service, 'start']),
  stop: async (exec, service) => await exec([await serviceProgram(exec), service, 'stop']),
};

/** The container that holds the services of an oVirt node, as Lago named it. */
const CONTAINER = ['docker', 'exec', 'vdsmc', 'systemctl'];

/** systemd in a container; what the container does not have is looked for in the guest itself. */
async function inContainer(exec: GuestExec, service: string): Promise<boolean> {
  return systemdState(await exec([...CONTAINER, 'status', '--lines=0', service])) !== 'missing';
}

const systemdcontainer: ServiceProvider = {
  name: 'systemdcontainer',
  className: 'SystemdContainerService',
  detect: async (exec) => await hasFile(exec, ['/usr/bin/docker']),
  async state(exec, service) {
    const inside = systemdState(await exec([...CONTAINER, 'status', '--lines=0', service]));
    return inside === 'missing' ? await systemd.state(exec, service) : inside;
  },
  start: async (exec, service) =>
    (await inContainer(exec, service)) ? await exec([...CONTAINER, 'start', service]) : await systemd.start(exec, service),
  stop: async (exec, service) =>
    (await inContainer(exec, service)) ? await exec([...CONTAINER, 'stop', service]) : await systemd.stop(exec, service),
};

/** Lago's three, in the order in which a guest is asked for them. */
export const SERVICE_PROVIDERS: readonly ServiceProvider[] = [systemd, sysvinit, systemdcontainer];
