import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { drop, silentLog } from '../core/log.ts';
import type { BootWatch } from '../guest/boot/boot-watch.ts';
import type { Dial } from '../guest/dial.ts';
import type { ExecResult, SshConnection, SshTarget } from '../guest/ssh.ts';
import type { WaitRequest } from '../guest/wait.ts';
import { domainName, type Prefix, readPrefix, vmAddress, vmSpec } from '../prefix/prefix.ts';
import { foreignVm, isHosted } from './foreign-vms.ts';
import { onVmStopped, VmStream } from './observed/vm-stopped.ts';
import { vncSocket } from './realize.ts';
import type { RecipeContext } from './recipe.ts';
import type { HostSession } from './session.ts';
import type { ExecRequest, ShellRequest, ShellSession } from './shell-request.ts';

/** Lago's time limit for a VM to boot, unless its definition sets one. */
const BOOT_SECONDS = 600;

/** Opens a shell or runs a command in a VM. Waits for its ssh up to its boot time limit, but not after it stops. */
export async function openShell(context: RecipeContext, root: string, request: ShellRequest): Promise<ShellSession> {
  const prefix = await readPrefix(root);
  const { openShellSession, TERMINAL_KEEPALIVE_MS } = await import('../guest/shell.ts');
  const { signal, onWait } = request;
  const vm = vmSpec(prefix, request.vm);
  // ssh itself detects a vanished VM only after seconds of silence.
  const hosted = isHosted(context.plugins, vm);
  const stopped = hosted ? whenStopped(await runningVm(context, prefix, vm.name, signal), prefix, vm) : undefined;
  try {
    const connection = await connectGuest(context, prefix, vm, { signal, onWait, keepaliveMs: TERMINAL_KEEPALIVE_MS });
    const signals = [signal, stopped?.signal].filter((one) => one !== undefined);
    const session = await openShellSession(connection, {
      command: request.command,
      pty: request.pty,
      ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
    });
    if (stopped !== undefined) session.stream.once('close', stopped.forget);
    return session;
  } catch (error) {
    stopped?.forget();
    throw error;
  }
}

/** Runs a command in a VM and waits for its end. See `Engine.exec`. */
export async function runInGuest(context: RecipeContext, root: string, request: ExecRequest): Promise<ExecResult> {
  const prefix = await readPrefix(root);
  const { vm, command, onWait, ...options } = request;
  await using connection = await connectGuest(context, prefix, vmSpec(prefix, vm), { signal: request.signal, onWait });
  return await connection.exec(command, options);
}

/** A login that lasts. */
export interface GuestVisit extends AsyncDisposable {
  readonly connection: SshConnection;
  /** Aborts with `vm.not-running` when the VM stops, which ssh itself notices only after a silence. */
  readonly stopped: AbortSignal;
}

/** Logs in to a VM like `connectGuest`, for work that has to notice at once when the VM stops. Disposing it closes the connection. */
export async function visitGuest(context: RecipeContext, prefix: Prefix, vm: VmSpec, options: ConnectOptions): Promise<GuestVisit> {
  const { signal, forget } = isHosted(context.plugins, vm)
    ? whenStopped(await runningVm(context, prefix, vm.name, options.signal), prefix, vm)
    : { signal: new AbortController().signal, forget: () => undefined };
  try {
    const connection = await connectGuest(context, prefix, vm, options);
    return {
      connection,
      stopped: signal,
      async [Symbol.asyncDispose]() {
        forget();
        await connection.close();
      },
    };
  } catch (error) {
    forget();
    throw error;
  }
}

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onWait?: ((message: string) => void) | undefined;
  readonly keepaliveMs?: number;
  /** Default: the VM's boot time. */
  readonly timeoutMs?: number;
}

/** Logs in to a VM, waiting up to `timeoutMs`, but not after it stops. The caller disposes the connection. */
export async function connectGuest(context: RecipeContext, prefix: Prefix, vm: VmSpec, options: ConnectOptions): Promise<SshConnection> {
  const way = await wayTo(context, prefix, vm, options.signal);
  const over = new AbortController();
  try {
    const { waitForSsh } = await import('../guest/wait.ts');
    const { signal, onWait, keepaliveMs } = options;
    const request: WaitRequest = {
      ...(await loginOf(context, prefix, vm, way)),
      timeoutMs: options.timeoutMs ?? (vm.boot_time_sec ?? BOOT_SECONDS) * 1000,
      tries: context.settings.sshTries,
      dialMs: context.settings.sshTimeout * 1000,
      signal: signal === undefined ? way.stopped : AbortSignal.any([signal, way.stopped]),
      onProgress: afterASecond(onWait),
      ...(keepaliveMs === undefined ? {} : { keepaliveMs }),
    };
    if (way.session === undefined) return await waitForSsh(request);
    // Most guests are up: only for one that is not it matters how far it has come.
    const present = await loginNow(request, { dialMs: 300, loginMs: 20_000 });
    if (!(present instanceof EngineError)) return present;
    const { watchBoot } = await import('./boot/boot-watch.ts');
    const watch = await watchBoot(way.session, prefix, vm, { signal: over.signal, log: silentLog });
    watch.begin();
    return await waitForSsh({ ...request, watch });
  } finally {
    over.abort();
    way.forget();
  }
}

/** Waits, without a time limit, until a watched VM accepts a login. Rejects as `waitForSsh` does. */
export async function connectWatched(
  context: RecipeContext,
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  watch: BootWatch,
  signal: AbortSignal,
): Promise<SshConnection> {
  const { waitForSsh } = await import('../guest/wait.ts');
  const login = await loginOf(context, prefix, vm, sshOf(session, prefix, vm));
  return await waitForSsh({ ...login, timeoutMs: Infinity, refusalGraceMs: Infinity, signal, watch });
}

/** Logs in to a VM if it is up now. A failure that waiting could mend is the result; any other is thrown. */
export async function loginNow(
  request: Omit<SshTarget, 'timeoutMs'>,
  limits: { readonly dialMs: number; readonly loginMs: number },
): Promise<SshConnection | EngineError> {
  const { dialGuest, loginOver } = await import('../guest/ssh.ts');
  const target: SshTarget = { ...request, timeoutMs: limits.dialMs };
  try {
    return await loginOver(await dialGuest(target, limits.dialMs), target, limits.loginMs);
  } catch (error) {
    if (error instanceof EngineError && error.details['reason'] !== undefined && error.details['reason'] !== 'host-key') return error;
    throw error;
  }
}

/** Key, password and pinned host keys for a VM's ssh. */
export async function loginOf(context: RecipeContext, prefix: Prefix, vm: VmSpec, way: SshWay): Promise<Omit<SshTarget, 'timeoutMs'>> {
  const [{ openHostKeys }, { readPrefixKey }] = await Promise.all([import('../guest/host-keys.ts'), import('../guest/keys.ts')]);
  const key = await readPrefixKey(prefix.paths.root);
  return {
    dial: way.dial,
    address: way.address,
    port: way.port,
    emulated: way.emulated,
    vm: vm.name,
    user: vm['ssh-user'],
    privateKey: key.privateKey,
    password: String(vm['ssh-password'] ?? vm['root-password'] ?? context.settings.sshPassword),
    hostKeys: openHostKeys(prefix.paths.hostKeys),
    log: silentLog,
  };
}

/** Connects to a TCP port of a running VM. `vm.not-running`, and the errors of `Host.dial`. */
export async function connectToPort(
  context: RecipeContext,
  prefix: Prefix,
  vm: VmSpec,
  port: number,
  signal?: AbortSignal,
): Promise<Duplex> {
  const way = await wayTo(context, prefix, vm, signal);
  try {
    return await way.dial(way.address, port, { signal });
  } finally {
    way.forget();
  }
}

/** Connects to a TCP port that a VM reaches, over its ssh. Rejects like `connectGuest`, and with `guest.unreachable`. */
export async function connectFromGuest(
  context: RecipeContext,
  prefix: Prefix,
  vm: VmSpec,
  to: { readonly host: string; readonly port: number },
  signal?: AbortSignal,
): Promise<Duplex> {
  const { openTcpChannel } = await import('../guest/channel.ts');
  const connection = await connectGuest(context, prefix, vm, { signal });
  try {
    const stream = await openTcpChannel(connection.client, () => connection.lost(), { ...to, signal });
    stream.once('close', () => drop(connection.close(), silentLog, 'close'));
    return stream;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Address of a VM's ssh and how to reach it. */
interface SshWay {
  readonly dial: Dial;
  readonly address: string;
  readonly port: number;
  readonly emulated: boolean;
}

interface Way extends SshWay {
  /** Undefined for a VM that libvirt does not run. */
  readonly session: HostSession | undefined;
  /** Aborted when the VM stops. */
  readonly stopped: AbortSignal;
  forget(): void;
}

async function wayTo(context: RecipeContext, prefix: Prefix, vm: VmSpec, signal: AbortSignal | undefined): Promise<Way> {
  if (!isHosted(context.plugins, vm)) return await wayToMachine(context, prefix, vm, signal);
  const session = await runningVm(context, prefix, vm.name, signal);
  const way = sshOf(session, prefix, vm);
  const { signal: stopped, forget } = whenStopped(session, prefix, vm);
  return { ...way, session, stopped, forget };
}

/** The ssh of a VM that libvirt runs. */
export function sshOf(session: HostSession, prefix: Prefix, vm: VmSpec): SshWay {
  const address = vmAddress(prefix.specs, vm);
  if (address === null) {
    throw new EngineError('guest.unreachable', `VM ${vm.name} has no known address: it is on no network that gives one.`, {
      hint: `Use its serial console: lago console ${vm.name}.`,
    });
  }
  const { host } = session;
  const dial: Dial = async (to, port, options) => await host.dial(to, port, options);
  return { dial, address, port: 22, emulated: host.accelerator === 'tcg' };
}

async function wayToMachine(context: RecipeContext, prefix: Prefix, vm: VmSpec, signal: AbortSignal | undefined): Promise<Way> {
  const foreign = foreignVm(context.plugins, prefix, vm);
  const never = new AbortController().signal;
  const call = { signal: signal ?? never, log: silentLog };
  const state = await foreign.state(call);
  if (state !== 'running') {
    throw new EngineError('vm.not-running', `VM ${vm.name} is not running: it is ${state}.`, { hint: 'Start it first: lago start.' });
  }
  const found = await foreign.address(call);
  if (found === null) {
    throw new EngineError('guest.unreachable', `VM ${vm.name} has no known address.`, {
      hint: `Its provider "${vm['vm-provider']}" has to know one.`,
    });
  }
  const { dialFromMachine } = await import('../host/direct.ts');
  return {
    session: undefined,
    dial: dialFromMachine,
    address: found.host,
    port: found.port,
    emulated: false,
    stopped: never,
    forget: () => undefined,
  };
}

/** Most guests answer at once; a short wait needs no message. */
function afterASecond(tell: ((message: string) => void) | undefined): (message: string) => void {
  const from = Date.now() + 1000;
  return (message) => {
    if (Date.now() >= from) tell?.(message);
  };
}

/** A signal that aborts when the VM stops, so that nobody waits for ssh on a VM that is off. */
function whenStopped(session: HostSession, prefix: Prefix, vm: VmSpec): { readonly signal: AbortSignal; forget(): void } {
  const abort = new AbortController();
  const of = { domain: domainName(prefix.uuid, vm.name), vm: vm.name };
  const forget = onVmStopped(session.hypervisor, of, (why) => abort.abort(why));
  return { signal: abort.signal, forget };
}

/**
 * The serial console. libvirt allows only one client: opening it disconnects any other, whose stream then fails with `conflict.taken`.
 * Within this process, use it through `consoles.ts`, which shares one among all who look.
 */
export async function openConsole(context: RecipeContext, root: string, vm: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const prefix = await readPrefix(root);
  const session = await runningVm(context, prefix, vm, signal);
  const { hypervisor } = session;
  const domain = domainName(prefix.uuid, vm);
  const before = await hypervisor.findDomain(domain, { signal });
  const raw = await hypervisor.openConsole(domain, { force: true }, { signal });
  return new VmStream(raw, hypervisor, { domain, vm }, (now, error) => {
    if (now.id !== before?.id) return new EngineError('vm.not-running', `VM ${vm} was started anew.`);
    if (error instanceof EngineError && error.code === 'hypervisor.disconnected') return error;
    return new EngineError('conflict.taken', `Another program has taken the serial console of ${vm}.`, {
      hint: 'Close it there, then open it here again.',
    });
  });
}

/** The RFB stream of the VM's screen. */
export async function openScreen(context: RecipeContext, root: string, vm: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const prefix = await readPrefix(root);
  const session = await runningVm(context, prefix, vm, signal);
  const { connectScreen } = await import('../guest/vnc.ts');
  const there = vncSocket(session.host.socketDir, prefix.uuid, vm);
  const raw = await connectScreen((await session.host.nearSocket?.(there, signal)) ?? there, { vm, signal });
  return new VmStream(raw, session.hypervisor, { domain: domainName(prefix.uuid, vm), vm });
}

/** The host of a VM that is certain to be running: `vm.missing`, `vm.not-running`. */
async function runningVm(context: RecipeContext, prefix: Prefix, name: string, signal: AbortSignal | undefined): Promise<HostSession> {
  const vm = vmSpec(prefix, name);
  if (!isHosted(context.plugins, vm)) {
    throw new EngineError('not-available', `VM ${name} has no console and no screen here: its provider is "${vm['vm-provider']}".`, {
      hint: `Use ssh: lago shell ${name}.`,
    });
  }
  const session = await context.hosts.find(prefix, signal);
  const domain = await session?.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal });
  if (session !== undefined && domain !== undefined && domain.id >= 0) return session;
  throw new EngineError('vm.not-running', `VM ${name} is not running.`, { hint: 'Start it first: lago start.' });
}
