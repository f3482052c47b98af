import { isCancelled } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host-choice.ts';
import type { HostSummary } from '../../../src-shared/state.ts';
import type { Log } from '../core/log.ts';
import type { EngineSettings } from '../engine.ts';
import type { EmbeddedHost, EmbeddedHostSpec, Host } from '../host/host.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { hostChoiceOf, type Prefix } from './prefix.ts';

/** An environment's host that is up, with an open libvirt connection. */
export interface Session {
  readonly host: Host;
  readonly hypervisor: Hypervisor;
}

/**
 * Gives recipes the host of a prefix. Connections are kept per prefix and opened again when they were lost; tests put a fake in its
 * place.
 */
export interface HostAccess extends AsyncDisposable {
  /** The host, started when it is down. */
  open(prefix: Prefix, log: Log, signal: AbortSignal): Promise<Session>;
  /** The host when it is up, else undefined; starts nothing. */
  find(prefix: Prefix, signal?: AbortSignal): Promise<Session | undefined>;
  /** Ends the prefix's own host with all that runs in it; a `system` host is only disconnected. */
  stop(prefix: Prefix): Promise<void>;
  /** What is known of it without starting anything. */
  summary(prefix: Prefix, session: Session | undefined): HostSummary;
}

export interface HostAccessOptions {
  readonly settings: EngineSettings;
  readonly resourcesDir: string;
  readonly log: Log;
}

/** The host that new environments get, as the settings say. */
export function defaultHostChoice(settings: EngineSettings): HostChoice {
  return settings.host === 'embedded' ? { kind: 'embedded', uplink: settings.uplink } : { kind: 'system', uri: settings.host };
}

function embeddedSpec(prefix: Prefix, settings: EngineSettings, choice: HostChoice & { kind: 'embedded' }): EmbeddedHostSpec {
  // `uplink = none` in the configuration wins over what the prefix was made with: it is the safer one.
  const uplink = settings.uplink === 'none' ? 'none' : choice.uplink;
  return { id: prefix.uuid, stateDir: prefix.paths.host, uplink, accelerator: settings.accelerator };
}

export function createHostAccess(options: HostAccessOptions): HostAccess {
  const { settings, resourcesDir, log } = options;
  const sessions = new Map<string, Session>();

  async function connect(prefix: Prefix, host: Host, signal: AbortSignal | undefined): Promise<Session> {
    const { connectHypervisor } = await import('../libvirt/libvirt.ts');
    const hypervisor = await connectHypervisor(host.uri, { signal });
    const session: Session = { host, hypervisor };
    sessions.set(prefix.uuid, session);
    hypervisor.onEvent((event) => {
      if (event.type === 'closed' && sessions.get(prefix.uuid) === session) sessions.delete(prefix.uuid);
    });
    return session;
  }

  async function findEmbedded(prefix: Prefix, choice: HostChoice & { kind: 'embedded' }): Promise<EmbeddedHost | undefined> {
    const { findEmbeddedHost } = await import('../host/embedded.ts');
    return await findEmbeddedHost(embeddedSpec(prefix, settings, choice), { resourcesDir, log });
  }

  async function openSystem(uri: string): Promise<Host> {
    const { openSystemHost } = await import('../host/system.ts');
    return await openSystemHost({ uri, accelerator: settings.accelerator }, { log });
  }

  async function forget(prefix: Prefix): Promise<void> {
    const session = sessions.get(prefix.uuid);
    sessions.delete(prefix.uuid);
    await session?.hypervisor.close();
  }

  return {
    async open(prefix, operationLog, signal) {
      const known = await this.find(prefix, signal);
      if (known !== undefined) return known;
      const choice = hostChoiceOf(prefix, defaultHostChoice(settings));
      if (choice.kind === 'system') return await connect(prefix, await openSystem(choice.uri), signal);
      const { startEmbeddedHost } = await import('../host/embedded.ts');
      const host = await startEmbeddedHost(embeddedSpec(prefix, settings, choice), { resourcesDir, log: operationLog, signal });
      return await connect(prefix, host, signal);
    },
    async find(prefix, signal) {
      const choice = hostChoiceOf(prefix, defaultHostChoice(settings));
      const known = sessions.get(prefix.uuid);
      if (choice.kind === 'system') {
        if (known !== undefined) return known;
        try {
          return await connect(prefix, await openSystem(choice.uri), signal);
        } catch (error) {
          if (isCancelled(error)) throw error;
          log.debug(`${prefix.name}: ${choice.uri} does not answer: ${error instanceof Error ? error.message : String(error)}`);
          return undefined;
        }
      }
      const host = await findEmbedded(prefix, choice);
      if (host === undefined) {
        if (known !== undefined) await forget(prefix);
        return undefined;
      }
      return known ?? (await connect(prefix, host, signal));
    },
    async stop(prefix) {
      await forget(prefix);
      const choice = hostChoiceOf(prefix, defaultHostChoice(settings));
      if (choice.kind === 'embedded') await (await findEmbedded(prefix, choice))?.stop();
    },
    summary(prefix, session) {
      const choice = hostChoiceOf(prefix, defaultHostChoice(settings));
      return {
        kind: choice.kind,
        uri: session?.host.uri ?? (choice.kind === 'system' ? choice.uri : 'qemu:///system'),
        status: session === undefined ? 'down' : 'up',
        accelerator: session?.host.accelerator ?? 'unknown',
        uplink: session?.host.uplink ?? 'none',
        problem: null,
      };
    },
    async [Symbol.asyncDispose]() {
      const open = [...sessions.values()];
      sessions.clear();
      await Promise.all(open.map(async (session) => await session.hypervisor.close()));
    },
  };
}
