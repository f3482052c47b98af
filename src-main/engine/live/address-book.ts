import { drop, type Log } from '../core/log.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import type { Observation, ObservedAddress } from '../runtime/observed/state.ts';
import type { HostSession } from '../runtime/session.ts';

/** The addresses that the running VMs of an environment have, asked for whenever one comes up, and when its guest agent says a word. */
export interface AddressBook {
  /** Called with each new observation of the host. `isUp`: whether a VM's guest can be used. */
  update(prefix: Prefix, seen: Observation, isUp: (vm: string) => boolean): void;
  /** A guest's agent began to answer: it may know more. */
  agentAnswers(domain: string): void;
  of(vm: string): readonly ObservedAddress[];
  close(): void;
}

interface Page {
  readonly session: HostSession;
  readonly domain: string;
  /** libvirt's id, which changes when a VM is started or reverted again. */
  readonly domainId: number;
  readonly end: AbortController;
  readonly ask: () => void;
  up: boolean;
  addresses: readonly ObservedAddress[];
}

export function createAddressBook(log: Log, onChange: () => void): AddressBook {
  const pages = new Map<string, Page>();

  function close(vm: string, page: Page): void {
    page.end.abort();
    pages.delete(vm);
  }

  function open(session: HostSession, prefix: Prefix, vm: Prefix['specs']['vms'][number], domainId: number): Page {
    const end = new AbortController();
    async function read(): Promise<void> {
      try {
        const { observedAddresses } = await import('../runtime/observed/addresses.ts');
        const addresses = await observedAddresses(session, prefix, vm, log, end.signal);
        if (JSON.stringify(addresses) === JSON.stringify(page.addresses)) return;
        page.addresses = addresses;
        onChange();
      } catch (error) {
        if (!end.signal.aborted) throw error;
      }
    }
    const page: Page = {
      ...{ session, domainId, end, up: false, addresses: [] },
      domain: domainName(prefix.uuid, vm.name),
      ask: () => drop(read(), log, `Reading the addresses of ${vm.name}`),
    };
    pages.set(vm.name, page);
    return page;
  }

  return {
    update(prefix, { session, domains }, isUp) {
      for (const vm of prefix.specs.vms) {
        const domain = domains.find(({ name, id }) => id >= 0 && name === domainName(prefix.uuid, vm.name));
        const known = pages.get(vm.name);
        const same = known !== undefined && known.domainId === domain?.id && known.session === session;
        if (known !== undefined && !same) close(vm.name, known);
        if (session === undefined || domain === undefined) continue;
        const page = same ? known : open(session, prefix, vm, domain.id);
        const up = isUp(vm.name);
        if (up && !page.up) page.ask();
        page.up = up;
      }
    },
    agentAnswers(domain) {
      for (const page of pages.values()) if (page.domain === domain) page.ask();
    },
    of: (vm) => pages.get(vm)?.addresses ?? [],
    close() {
      for (const [vm, page] of pages) close(vm, page);
    },
  };
}
