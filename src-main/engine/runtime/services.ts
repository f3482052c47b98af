import type { VmSpec } from '../../../src-shared/specs.ts';
import {
  detectProvider,
  type GuestExec,
  type GuestService,
  namedProvider,
  requireServiceName,
  type ServiceProvider,
  shellWords,
  startService,
  stopService,
} from '../guest/services.ts';
import type { SshConnection } from '../guest/ssh.ts';
import { readPrefix, vmSpec } from '../prefix/prefix.ts';
import { connectGuest } from './access.ts';
import type { RecipeContext } from './recipe.ts';

export interface ServiceOptions {
  /** VM (prefix and name) → provider detected in it; kept between calls. */
  readonly detected: Map<string, string>;
  readonly signal?: AbortSignal | undefined;
}

/** A service of a VM; each call opens its own connection. See `Engine.service`. */
export async function guestService(
  context: RecipeContext,
  root: string,
  name: string,
  service: string,
  options: ServiceOptions,
): Promise<GuestService> {
  requireServiceName(service);
  const prefix = await readPrefix(root);
  const vm = vmSpec(prefix, name);
  const named = namedProvider(context.plugins.list('vm-service'), vm.name, vm);

  async function use<T>(work: (provider: ServiceProvider, exec: GuestExec) => Promise<T>): Promise<T> {
    await using connection = await connectGuest(context, prefix, vm, { signal: options.signal });
    const exec = execOn(connection, options.signal);
    return await work(named ?? (await found(vm, exec)), exec);
  }

  async function found(of: VmSpec, exec: GuestExec): Promise<ServiceProvider> {
    const key = `${prefix.uuid} ${of.name}`;
    const providers = context.plugins.list('vm-service');
    const known = providers.find((provider) => provider.name === options.detected.get(key));
    const provider = known ?? (await detectProvider(providers, of.name, exec));
    options.detected.set(key, provider.name);
    return provider;
  }

  return {
    name: service,
    provider: async () => named?.name ?? (await use(async (provider) => await Promise.resolve(provider.name))),
    state: async () => await use(async (provider, exec) => await provider.state(exec, service)),
    start: async () => await use(async (provider, exec) => await startService(provider, vm.name, service, exec)),
    stop: async () => await use(async (provider, exec) => await stopService(provider, vm.name, service, exec)),
  };
}

function execOn(connection: SshConnection, signal: AbortSignal | undefined): GuestExec {
  return async (argv) => await connection.exec(shellWords(argv), { signal });
}
