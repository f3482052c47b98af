import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { silentLog } from '../core/log.ts';
import type { ShellRequest, ShellSession } from '../engine.ts';
import type { HypervisorEvent } from '../libvirt/hypervisor.ts';
import { domainName, type Prefix, readPrefix, vmAddress, vmSpec } from './prefix.ts';
import { vncSocket } from './realize.ts';
import type { RecipeContext } from './recipe.ts';
import type { Session } from './session.ts';

/** Lago's limit for a VM to come up, where its definition gives none. */
const BOOT_SECONDS = 600;

/** Opens a shell or runs a command in a VM, waiting for its ssh as long as it may take to boot, but not longer than it runs. */
export async function openShell(context: RecipeContext, root: string, request: ShellRequest): Promise<ShellSession> {
  const prefix = await readPrefix(root);
  const vm = vmSpec(prefix, request.vm);
  const session = await runningVm(context, prefix, vm.name, request.signal);
  const address = vmAddress(prefix.specs, vm);
  if (address === null) {
    throw new EngineError('guest.unreachable', `VM ${vm.name} has no known address: it is on no network that gives one.`, {
      hint: `Use its serial console: lago console ${vm.name}.`,
    });
  }
  const [{ openHostKeys }, { readPrefixKey }, { openShellSession, TERMINAL_KEEPALIVE_MS }, { waitForSsh }] = await Promise.all([
    import('../guest/host-keys.ts'),
    import('../guest/keys.ts'),
    import('../guest/shell.ts'),
    import('../guest/wait.ts'),
  ]);
  const key = await readPrefixKey(root);
  const stopped = whenStopped(session, prefix, vm);
  try {
    const connection = await waitForSsh({
      dial: async (to, port, options) => await session.host.dial(to, port, options),
      address,
      vm: vm.name,
      user: vm['ssh-user'],
      privateKey: key.privateKey,
      password: String(vm['ssh-password'] ?? vm['root-password'] ?? context.settings.sshPassword),
      hostKeys: openHostKeys(prefix.paths.hostKeys),
      timeoutMs: (vm.boot_time_sec ?? BOOT_SECONDS) * 1000,
      signal: request.signal === undefined ? stopped.signal : AbortSignal.any([request.signal, stopped.signal]),
      onProgress: afterASecond(request.onWait),
      keepaliveMs: TERMINAL_KEEPALIVE_MS,
      log: silentLog,
    });
    return await openShellSession(connection, { command: request.command, pty: request.pty, signal: request.signal });
  } finally {
    stopped.forget();
  }
}

/** Most guests answer at once; only a wait that is felt needs words. */
function afterASecond(tell: ((message: string) => void) | undefined): (message: string) => void {
  const from = Date.now() + 1000;
  return (message) => {
    if (Date.now() >= from) tell?.(message);
  };
}

/** A signal that is aborted when the VM stops, so that nobody waits for the ssh of a VM that is off. */
function whenStopped(session: Session, prefix: Prefix, vm: VmSpec): { readonly signal: AbortSignal; forget(): void } {
  const abort = new AbortController();
  const name = domainName(prefix.uuid, vm.name);
  const forget = session.hypervisor.onEvent((event: HypervisorEvent) => {
    if (event.type === 'domain' && event.name === name && (event.event === 'stopped' || event.event === 'crashed')) {
      abort.abort(
        new EngineError('vm.not-running', `VM ${vm.name} stopped while it was waited for.`, { hint: 'Start it again: lago start.' }),
      );
    }
  });
  return { signal: abort.signal, forget };
}

/** The serial console; another holder of it is put out, as only one can type. */
export async function openConsole(context: RecipeContext, root: string, vm: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const prefix = await readPrefix(root);
  const session = await runningVm(context, prefix, vm, signal);
  return await session.hypervisor.openConsole(domainName(prefix.uuid, vm), { force: true }, { signal });
}

/** The RFB stream of the VM's screen. */
export async function openScreen(context: RecipeContext, root: string, vm: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const prefix = await readPrefix(root);
  const session = await runningVm(context, prefix, vm, signal);
  const { connectScreen } = await import('../guest/vnc.ts');
  return await connectScreen(vncSocket(session.host.socketDir, prefix.uuid, vm), { vm, signal });
}

/** The VM's host, with the certainty that the VM runs: `vm.missing`, `vm.not-running`. */
async function runningVm(context: RecipeContext, prefix: Prefix, name: string, signal: AbortSignal | undefined): Promise<Session> {
  const vm = vmSpec(prefix, name);
  const session = await context.hosts.find(prefix, signal);
  const domain = await session?.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal });
  if (session !== undefined && domain !== undefined && domain.id >= 0) return session;
  throw new EngineError('vm.not-running', `VM ${name} is not running.`, { hint: 'Start it first: lago start.' });
}
