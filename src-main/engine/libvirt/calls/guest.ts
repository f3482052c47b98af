import type { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { CallOptions, GuestCalls } from '../hypervisor.ts';
import { type DomainRef, procedures } from '../rpc/protocol.ts';
import type { LibvirtSession } from './session.ts';

const AGENT_TIMEOUT_MS = 60_000;
const SCREENSHOT_MAX = 64 * 1024 * 1024;
const CONSOLE_FORCE = 1;
const LINUX_KEYS = 0;
const HOLD_MS = 50;
/** virDomainInterfaceAddressesSource. */
const SOURCES = { lease: 0, agent: 1, arp: 2 } as const;

/** Calls about what goes on inside a guest. */
export function guestCalls(session: LibvirtSession): GuestCalls {
  return {
    async screenshot(name: string, options?: CallOptions): Promise<{ readonly mime: string; readonly bytes: Uint8Array }> {
      const { result, stream } = await session.openStream(
        procedures.domainScreenshot,
        name,
        (domain) => ({ domain, screen: 0, flags: 0 }),
        'Taking a picture of',
        false,
        options,
      );
      const chunks: Buffer[] = [];
      let size = 0;
      const stop = (): void => {
        stream.destroy(new EngineError('cancelled', `Taking a picture of VM ${name} was cancelled.`));
      };
      options?.signal?.addEventListener('abort', stop, { once: true });
      try {
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          size += chunk.length;
          if (size > SCREENSHOT_MAX)
            throw new EngineError('hypervisor.failed', `The picture of VM ${name} is larger than ${SCREENSHOT_MAX} bytes.`);
          chunks.push(chunk);
        }
      } finally {
        options?.signal?.removeEventListener('abort', stop);
        stream.destroy();
      }
      return { mime: result.mime ?? 'image/x-portable-pixmap', bytes: Buffer.concat(chunks, size) };
    },

    async agentCommand(name: string, command: string, options?: CallOptions): Promise<string> {
      const timeout = Math.max(1, Math.ceil((options?.timeoutMs ?? AGENT_TIMEOUT_MS) / 1000));
      const args = (domain: DomainRef): { domain: DomainRef; command: string; timeout: number; flags: number } => ({
        domain,
        command,
        timeout,
        flags: 0,
      });
      return (await session.onDomain(procedures.domainAgentCommand, name, args, 'Asking the guest agent of', options)).result ?? '';
    },

    async openConsole(name: string, how: { readonly force?: boolean } = {}, options?: CallOptions): Promise<Duplex> {
      const flags = how.force === true ? CONSOLE_FORCE : 0;
      const args = (domain: DomainRef): { domain: DomainRef; device: undefined; flags: number } => ({ domain, device: undefined, flags });
      return (await session.openStream(procedures.domainOpenConsole, name, args, 'Opening the console of', true, options)).stream;
    },

    async sendKeys(name, keys, how, options) {
      const holdTime = how?.holdMs ?? HOLD_MS;
      const args = (domain: DomainRef) => ({ domain, codeSet: LINUX_KEYS, holdTime, keys, flags: 0 });
      await session.onDomain(procedures.domainSendKey, name, args, 'Sending keys to', options);
    },

    async interfaceAddresses(name, source, options) {
      const args = (domain: DomainRef) => ({ domain, source: SOURCES[source], flags: 0 });
      const { interfaces } = await session.onDomain(
        procedures.domainGetInterfaceAddresses,
        name,
        args,
        'Asking for the addresses of',
        options,
      );
      return interfaces.map((nic) => ({ ...nic, addresses: nic.addresses.map(({ ip, prefix }) => ({ ip, prefix })) }));
    },

    async freezeFilesystems(name, options) {
      const args = (domain: DomainRef) => ({ domain, mountpoints: [], flags: 0 });
      return (await session.onDomain(procedures.domainFreeze, name, args, 'Freezing the file systems of', options)).fileSystems;
    },

    async thawFilesystems(name, options) {
      const args = (domain: DomainRef) => ({ domain, mountpoints: [], flags: 0 });
      return (await session.onDomain(procedures.domainThaw, name, args, 'Thawing the file systems of', options)).fileSystems;
    },
  };
}
