import { EngineError } from '../../../src-shared/errors.ts';
import type { ExecResult } from './ssh.ts';

/** State of a service in a guest; `missing` when the guest has none of that name. */
export type ServiceState = 'missing' | 'inactive' | 'active';

/** Runs a program in the guest. Each word is passed literally: no shell there interprets it. */
export type GuestExec = (argv: readonly string[]) => Promise<ExecResult>;

/** One kind of service control in a guest. */
export interface ServiceProvider {
  readonly name: string;
  /** Its class name in Lago, for init files with the old key `service_class`. */
  readonly className?: string;
  /** Whether the guest uses it. */
  detect(exec: GuestExec): Promise<boolean>;
  state(exec: GuestExec, service: string): Promise<ServiceState>;
  /** Called only for an existing, inactive service. A non-zero exit code counts as failed. */
  start(exec: GuestExec, service: string): Promise<ExecResult>;
  /** Called only for an active service. */
  stop(exec: GuestExec, service: string): Promise<ExecResult>;
}

/** A service of a VM. All calls reject with `guest.*` when the VM does not respond. */
export interface GuestService {
  readonly name: string;
  /** Name of the provider that controls it. */
  provider(): Promise<string>;
  state(): Promise<ServiceState>;
  /** A no-op for an active service. `guest.failed` when it does not exist or does not start. */
  start(): Promise<void>;
  /** A no-op for an inactive service. `guest.failed` when it does not stop. */
  stop(): Promise<void>;
}

const NAME = /^[A-Za-z0-9_@][A-Za-z0-9_.@:\\-]{0,254}$/;

/** Rejects names that no service can have: `input.invalid`. */
export function requireServiceName(name: string): void {
  if (NAME.test(name)) return;
  throw new EngineError('input.invalid', `"${name}" cannot be a service's name.`, {
    hint: 'Use letters, digits and . _ @ : \\ -, not beginning with a dash or dot.',
  });
}

/** Joins words to one command line for a POSIX shell, each quoted where needed. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/**
 * The provider that a VM's definition names (`service_provider`, else the class name in `service_class`), undefined when it names none. An
 * unknown one is `input.invalid`, listing the known ones.
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

/** Starts a service by Lago's rules. */
export async function startService(provider: ServiceProvider, vm: string, service: string, exec: GuestExec): Promise<void> {
  const state = await provider.state(exec, service);
  if (state === 'active') return;
  if (state === 'missing') throw new EngineError('guest.failed', `Service ${service} not present in ${vm}.`, { details: { service, vm } });
  requireDone('start', vm, service, await provider.start(exec, service));
}

/** Stops a service by Lago's rules. */
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

/** Reads `systemctl status`: 0 is active; else the line `Loaded:` shows whether the unit exists. */
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

/** Reads `service NAME status`: 0 is active; else an existing service reports that it is stopped. */
function sysvState({ code, stdout }: ExecResult): ServiceState {
  if (code === 0) return 'active';
  return /is (stopped|not running)\.?\s*$/.test(stdout) ? 'inactive' : 'missing';
}

/** Path of `service`: on some guests ssh gives a PATH without the sbin folders. */
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

/** The container that runs the services of an oVirt node, as Lago named it. */
const CONTAINER = ['docker', 'exec', 'vdsmc', 'systemctl'];

/** systemd in a container; services that the container lacks are looked up in the guest itself. */
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

/** Lago's three providers, in the order in which they are tried. */
export const SERVICE_PROVIDERS: readonly ServiceProvider[] = [systemd, sysvinit, systemdcontainer];
