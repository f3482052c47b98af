import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import { parseMachineAddress } from '../../../src-shared/host/machine-address.ts';
import type { HostSummary } from '../../../src-shared/state.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import type { Log } from '../core/log.ts';
import { sleep } from '../core/until.ts';
import { unexpectedEnd } from '../host/embedded/unexpected-end.ts';
import type { EmbeddedHost, EmbeddedHostSpec, Host, RemoteHost } from '../host/host.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { hostChoiceOf, type Prefix } from '../prefix/prefix.ts';
import type { RemoteFiles } from './remote-files.ts';

/** A running host of an environment, with a libvirt client, which connects again by itself when libvirt comes back. */
export interface HostSession {
  readonly host: Host;
  readonly hypervisor: Hypervisor;
}

/** Provides a prefix's host to recipes. Clients are kept per prefix; tests replace it with a fake. */
export interface HostAccess extends AsyncDisposable {
  /** The host, started if it is down. */
  open(prefix: Prefix, log: Log, signal: AbortSignal): Promise<HostSession>;
  /**
   * The host if it is up, else undefined; starts nothing. `host.unusable` within seconds when its processes run but libvirt does not
   * respond: its VMs may still be running, and only `stop` can end them.
   */
  find(prefix: Prefix, signal?: AbortSignal): Promise<HostSession | undefined>;
  /** Ends the prefix's own host with everything in it, without asking libvirt; from a `system` host it only disconnects. */
  stop(prefix: Prefix): Promise<void>;
  /** The host's state, determined without starting anything; `problem` is why it is unusable. Of one that is down it tells why, if nobody stopped it. */
  summary(prefix: Prefix, session: HostSession | undefined, problem?: string | null): HostSummary;
}

export interface HostAccessOptions {
  readonly settings: EngineSettings;
  readonly resourcesDir: string;
  readonly log: Log;
}

/** The host for new environments, from the settings. */
export function defaultHostChoice(settings: EngineSettings): HostChoice {
  const { host, uplink } = settings;
  if (host === 'embedded') return { kind: 'embedded', uplink };
  if (!host.startsWith('ssh:')) return { kind: 'system', uri: host };
  if (parseMachineAddress(host) !== undefined) return { kind: 'remote', uri: host, uplink };
  throw new EngineError('input.invalid', `The host ${host} is not the address of a machine.`, { hint: 'Write ssh://user@machine.' });
}

function embeddedSpec(prefix: Prefix, settings: EngineSettings, choice: HostChoice & { kind: 'embedded' }): EmbeddedHostSpec {
  // `uplink = none` in the configuration overrides the prefix's own uplink, as the safer choice.
  const uplink = settings.uplink === 'none' ? 'none' : choice.uplink;
  return { id: prefix.uuid, stateDir: prefix.paths.host, uplink, accelerator: settings.accelerator };
}

/** After a crash, libvirtd is restarted in less than a second. */
const PATIENCE_MS = 3000;

/** An embedded host that was started again is another one at the same place. */
function isSameHost(one: Host, other: Host): boolean {
  const pidOf = (host: Host): unknown => ('pid' in host ? host.pid : undefined);
  return one.uri === other.uri && pidOf(one) === pidOf(other);
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new EngineError('cancelled', 'Connecting to libvirt was cancelled.'));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

export function createHostAccess(options: HostAccessOptions): HostAccess {
  const { settings, resourcesDir, log } = options;
  // Keyed by folder: a copied prefix has the same uuid as the original.
  const sessions = new Map<string, HostSession>();
  const connecting = new Map<string, Promise<HostSession>>();
  const choiceOf = (prefix: Prefix): HostChoice => hostChoiceOf(prefix, defaultHostChoice(settings));

  /** One client of a prefix's host, connected, however many callers ask at once; cancelling only ends the caller's wait. */
  async function connect(prefix: Prefix, host: Host, signal: AbortSignal | undefined): Promise<HostSession> {
    const { root } = prefix.paths;
    signal?.throwIfAborted();
    const known = sessions.get(root);
    if (known !== undefined && isSameHost(known.host, host)) {
      await known.hypervisor.whenConnected({ signal });
      return known;
    }
    if (known !== undefined) await forget(prefix);
    // There must be no await between get and set, or two concurrent callers would open two connections.
    let opening = connecting.get(root);
    if (opening === undefined) {
      opening = openConnection(prefix, host);
      connecting.set(root, opening);
    }
    return await unlessAborted(opening, signal);
  }

  async function openConnection(prefix: Prefix, host: Host): Promise<HostSession> {
    const { root } = prefix.paths;
    try {
      const { connectHypervisor } = await import('../libvirt/libvirt.ts');
      const hypervisor = await connectHypervisor(host.uri);
      const session: HostSession = { host, hypervisor };
      sessions.set(root, session);
      return session;
    } finally {
      connecting.delete(root);
    }
  }

  /** A running host has a libvirt, or will have one again in a moment. */
  async function connectOwn(prefix: Prefix, host: EmbeddedHost | RemoteHost, signal: AbortSignal | undefined): Promise<HostSession> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await connect(prefix, host, signal);
      } catch (error) {
        if (isCancelled(error)) throw error;
        if (Date.now() < deadline) {
          await sleep(200, signal);
          continue;
        }
        const reason = error instanceof Error ? error.message : String(error);
        throw new EngineError('host.unusable', `The libvirt of the environment's host (pid ${host.pid}) does not answer: ${reason}`, {
          cause: error,
          details: { pid: host.pid, reason: 'libvirt' },
          hint: 'Wait a moment. If the problem persists, "lago stop" ends the host with all its VMs, and "lago start" starts them afresh.',
        });
      }
    }
  }

  async function findEmbedded(prefix: Prefix, choice: HostChoice & { kind: 'embedded' }): Promise<EmbeddedHost | undefined> {
    const { findEmbeddedHost } = await import('../host/embedded/embedded.ts');
    return await findEmbeddedHost(embeddedSpec(prefix, settings, choice), { resourcesDir, log });
  }

  async function remote(prefix: Prefix, choice: HostChoice & { kind: 'remote' }): Promise<RemoteFiles> {
    const { remoteFiles } = await import('./remote-files.ts');
    return remoteFiles(prefix, choice, { settings, resourcesDir, log });
  }

  async function openSystem(uri: string): Promise<Host> {
    const { openSystemHost } = await import('../host/system.ts');
    return await openSystemHost({ uri, accelerator: settings.accelerator }, { log });
  }

  async function forget(prefix: Prefix): Promise<void> {
    const session = sessions.get(prefix.paths.root);
    sessions.delete(prefix.paths.root);
    await session?.hypervisor.close();
  }

  async function findSystem(prefix: Prefix, uri: string, signal: AbortSignal | undefined): Promise<HostSession | undefined> {
    try {
      return await connect(prefix, sessions.get(prefix.paths.root)?.host ?? (await openSystem(uri)), signal);
    } catch (error) {
      if (isCancelled(error)) throw error;
      if (error instanceof EngineError && error.code === 'hypervisor.disconnected') {
        // Something listens there but does not respond: what is running is unknown.
        throw new EngineError('host.unusable', `The libvirt at ${uri} does not answer: ${error.message}`, {
          cause: error,
          hint: 'Start libvirt again on this machine (systemctl restart libvirtd, or virtqemud).',
        });
      }
      log.debug(`${prefix.name}: ${uri} does not answer: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  const access: HostAccess = {
    async open(prefix, operationLog, signal) {
      const choice = choiceOf(prefix);
      const known = await access.find(prefix, signal).catch((error: unknown) => {
        // Starting it ends its remains, and starts over.
        if (error instanceof EngineError && error.details['reason'] === 'sockets') return undefined;
        throw error;
      });
      if (known !== undefined) return known;
      if (choice.kind === 'system') return await connect(prefix, await openSystem(choice.uri), signal);
      if (choice.kind === 'remote') {
        const { place, send } = await remote(prefix, choice);
        await send({ log: operationLog, signal, progress: () => undefined });
        return await connectOwn(prefix, await place.start(operationLog, signal), signal);
      }
      const { startEmbeddedHost } = await import('../host/embedded/embedded.ts');
      const host = await startEmbeddedHost(embeddedSpec(prefix, settings, choice), { resourcesDir, log: operationLog, signal });
      return await connect(prefix, host, signal);
    },
    async find(prefix, signal) {
      const choice = choiceOf(prefix);
      if (choice.kind === 'system') return await findSystem(prefix, choice.uri, signal);
      const finding = choice.kind === 'remote' ? (await remote(prefix, choice)).place.find(signal) : findEmbedded(prefix, choice);
      const host = await finding.catch(async (error: unknown) => {
        await forget(prefix);
        throw error;
      });
      if (host === undefined) {
        await forget(prefix);
        return undefined;
      }
      return await connectOwn(prefix, host, signal);
    },
    async stop(prefix) {
      await forget(prefix);
      const choice = choiceOf(prefix);
      if (choice.kind === 'system') return;
      if (choice.kind === 'remote') return await (await remote(prefix, choice)).place.stop();
      const { endEmbeddedHost } = await import('../host/embedded/embedded.ts');
      await endEmbeddedHost(embeddedSpec(prefix, settings, choice));
    },
    summary(prefix, session, problem = null) {
      const choice = choiceOf(prefix);
      const end = session === undefined && choice.kind === 'embedded' ? unexpectedEnd(prefix.paths.host) : undefined;
      return {
        kind: choice.kind,
        uri: choice.kind === 'remote' ? choice.uri : (session?.host.uri ?? (choice.kind === 'system' ? choice.uri : 'qemu:///system')),
        status: problem !== null ? 'unusable' : session === undefined ? 'down' : 'up',
        problem: problem ?? end ?? null,
        accelerator: session?.host.accelerator ?? 'unknown',
        uplink: session?.host.uplink ?? 'none',
      };
    },
    async [Symbol.asyncDispose]() {
      const open = [...sessions.values()];
      sessions.clear();
      await Promise.all(open.map(async (session) => await session.hypervisor.close()));
    },
  };
  return access;
}
