import type { LiveNumbers, VmNumbers } from '../../../src-shared/numbers.ts';

/** The newest numbers of an environment's VMs. Outside of React's state, so that a second's numbers renew only the words that change. */
export interface NumbersFeed {
  /** Undefined while there are none: nobody looks, the VM does not run, or it is the first second. */
  of(vm: string): VmNumbers | undefined;
  /** Calls the listener when numbers have come; returns the end of that. */
  subscribe(listener: () => void): () => void;
}

export interface NumbersStore extends NumbersFeed {
  put(numbers: LiveNumbers): void;
}

export function createNumbersStore(): NumbersStore {
  const listeners = new Set<() => void>();
  let newest: ReadonlyMap<string, VmNumbers> = new Map();
  return {
    of: (vm) => newest.get(vm),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    put({ vms }) {
      newest = new Map(vms.map((one) => [one.name, one]));
      for (const listener of listeners) listener();
    },
  };
}
