import { EngineError } from '../../../../src-shared/errors.ts';
import { drop, silentLog } from '../../core/log.ts';
import type { CallOptions, DeviceCalls } from '../hypervisor.ts';
import { type DomainRef, procedures } from '../rpc/protocol.ts';
import { aliasOfDevice, hasAlias, isActiveXml, nicWithLink } from '../xml/device-xml.ts';
import { CONFIG, LIVE, scopeFlags } from './scope.ts';
import type { LibvirtSession } from './session.ts';

/** How long a guest may take to let go of a device. */
const DETACH_TIMEOUT_MS = 20_000;
const XML_INACTIVE = 2;

/** Calls that change the devices of domains. */
export function deviceCalls(session: LibvirtSession): DeviceCalls {
  return {
    async attachDevice(name, xml, scope, options) {
      await session.onDomain(procedures.domainAttachDevice, name, deviceArgs(xml, scopeFlags(scope)), 'Adding a device to', options);
    },

    async detachDevice(name, xml, scope, options) {
      const flags = scopeFlags(scope);
      const alias = flags === CONFIG ? undefined : await aliasOf(session, name, xml, options);
      // Listening begins before the call: the guest may be quick.
      const removal = alias === undefined ? undefined : watchRemoval(session, name, alias, options);
      try {
        await session.onDomain(procedures.domainDetachDevice, name, deviceArgs(xml, flags), 'Removing a device from', options);
        if (removal !== undefined && alias !== undefined && hasAlias(await xmlOf(session, name, 0, options), alias)) await removal.gone;
      } finally {
        removal?.stop();
      }
    },

    async updateDevice(name, xml, scope, options) {
      await session.onDomain(procedures.domainUpdateDevice, name, deviceArgs(xml, scopeFlags(scope)), 'Changing a device of', options);
    },

    async setLink(name, mac, link, scope, options) {
      const flags = scopeFlags(scope);
      // One call each: the running device's description has more in it than the definition's.
      for (const part of flags === (LIVE | CONFIG) ? [LIVE, CONFIG] : [flags]) {
        const nic = nicWithLink(await xmlOf(session, name, part === CONFIG ? XML_INACTIVE : 0, options), mac, link);
        await session.onDomain(procedures.domainUpdateDevice, name, deviceArgs(nic, part), 'Changing the link of', options);
      }
    },

    async setMemory(name, memory, scope, options) {
      const args = (domain: DomainRef) => ({ domain, memory, flags: scopeFlags(scope) });
      await session.onDomain(procedures.domainSetMemory, name, args, 'Changing the memory of', options);
    },
  };
}

function deviceArgs(xml: string, flags: number): (domain: DomainRef) => { domain: DomainRef; xml: string; flags: number } {
  return (domain) => ({ domain, xml, flags });
}

async function xmlOf(session: LibvirtSession, name: string, flags: number, options: CallOptions | undefined): Promise<string> {
  return (await session.onDomain(procedures.domainGetXml, name, (domain) => ({ domain, flags }), 'Reading the description of', options))
    .xml;
}

/** undefined unless the domain runs and has the device. */
async function aliasOf(session: LibvirtSession, name: string, xml: string, options: CallOptions | undefined): Promise<string | undefined> {
  const domain = await xmlOf(session, name, 0, options);
  return isActiveXml(domain) ? aliasOfDevice(domain, xml) : undefined;
}

/** `gone` resolves when the device is gone, also with the whole domain; rejects when the guest keeps it too long, or on abort. */
function watchRemoval(
  session: LibvirtSession,
  name: string,
  alias: string,
  options: CallOptions | undefined,
): { readonly gone: Promise<void>; readonly stop: () => void } {
  let stop = (): void => undefined;
  const gone = new Promise<void>((resolve, reject) => {
    const unsubscribe = session.onEvent((event) => {
      if (event.type === 'device removed' && event.name === name && event.alias === alias) resolve();
      if (event.type === 'domain' && event.name === name && event.event === 'stopped') resolve();
      if (event.type === 'disconnected')
        reject(new EngineError('hypervisor.disconnected', `Removing a device from VM ${name} failed: ${event.reason}.`));
    });
    const onAbort = (): void => reject(new EngineError('cancelled', `Removing a device from VM ${name} was cancelled.`));
    const timer = setTimeout(() => {
      reject(
        new EngineError('hypervisor.failed', `The guest of VM ${name} does not let go of the device ${alias}.`, {
          hint: 'Stop using it in the guest and try again; a guest that is still booting does not respond.',
          details: { alias },
        }),
      );
    }, options?.timeoutMs ?? DETACH_TIMEOUT_MS);
    options?.signal?.addEventListener('abort', onAbort, { once: true });
    stop = () => {
      clearTimeout(timer);
      unsubscribe();
      options?.signal?.removeEventListener('abort', onAbort);
    };
  });
  // It may reject while the call itself is still waited for.
  drop(gone, silentLog, 'Removing a device');
  return { gone, stop: () => stop() };
}
