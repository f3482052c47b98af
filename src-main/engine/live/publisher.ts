import type { LiveEvent } from '../../../src-shared/contract.ts';

/** Key under which a newer event replaces an undelivered older one, which is safe since events carry whole values. */
function slotOf(event: LiveEvent): string {
  switch (event.type) {
    case 'prefix':
      return `prefix/${event.prefix.id}`;
    case 'prefix-gone':
      return `prefix/${event.id}`;
    case 'operation':
      return `operation/${event.operation.id}`;
    case 'operation-gone':
      return `operation/${event.id}`;
    default:
      return event.type;
  }
}

/** Distributes events to any number of readers, slow or fast: each gets the newest value of everything, in order of last change. */
export interface Publisher {
  publish(event: LiveEvent): void;
  /** `first` are the current values; the iterator ends on abort. */
  subscribe(first: readonly LiveEvent[], signal: AbortSignal): AsyncIterableIterator<LiveEvent>;
  readonly readers: number;
}

interface Reader {
  readonly pending: Map<string, LiveEvent>;
  wake: () => void;
}

export function createPublisher(): Publisher {
  const readers = new Set<Reader>();

  async function* read(first: readonly LiveEvent[], signal: AbortSignal): AsyncIterableIterator<LiveEvent> {
    const reader: Reader = { pending: new Map(first.map((event) => [slotOf(event), event])), wake: () => undefined };
    readers.add(reader);
    const onAbort = (): void => reader.wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const next = reader.pending.entries().next();
        if (next.done !== true) {
          const [slot, event] = next.value;
          reader.pending.delete(slot);
          yield event;
        } else {
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      readers.delete(reader);
    }
  }

  return {
    publish(event) {
      for (const reader of readers) {
        const slot = slotOf(event);
        // Delete first, which moves a replaced value to the end of the queue, so that one key never starves the others.
        reader.pending.delete(slot);
        reader.pending.set(slot, event);
        reader.wake();
      }
    },
    subscribe: (first, signal) => read(first, signal),
    get readers() {
      return readers.size;
    },
  };
}
