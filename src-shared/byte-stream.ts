/**
 * A duplex byte stream on a message port with credit-based flow control. Each side may have at most `WINDOW` unacknowledged bytes. The
 * receiver acknowledges what its consumer has processed, so a slow terminal pauses the producer instead of filling memory. The window is
 * also what the echo of a key has to wait for during a flood, so it is no larger than a fast terminal needs.
 * Runs in the renderer (DOM MessagePort), in Electron's main process (MessagePortMain) and in tests (worker_threads).
 */
export const WINDOW = 128 * 1024;

/** Credit is returned in pieces of this size, because each message costs both sides more than the bytes that it stands for. */
const CREDIT = WINDOW / 4;

/** The port interface that the stream needs; each platform's port needs a small adapter. */
export interface BytePort {
  post(message: PortMessage): void;
  onMessage(listener: (message: unknown) => void): void;
  onClose(listener: () => void): void;
  close(): void;
}

/** `data` carries bytes, `ack` returns credit, `end` ends the stream with a reason, null when it ended normally. */
export type PortMessage = { readonly data: Uint8Array } | { readonly ack: number } | { readonly end: string | null };

export interface ByteChannelEvents {
  /** Called with received bytes; call `taken()` once they are consumed (drawn, written) to return the credit. */
  onData(bytes: Uint8Array, taken: () => void): void;
  /** The other side ended (`reason` null) or failed (`reason` is a sentence). Called once. */
  onEnd(reason: string | null): void;
  /** Credit is available again after `write` returned false. */
  onDrain?(): void;
}

export interface ByteChannel {
  /** Sends bytes; false means: stop until `onDrain`. Nothing is dropped, even then. */
  write(bytes: Uint8Array): boolean;
  /** Ends the stream for both sides. */
  end(reason?: string): void;
}

function isMessage(value: unknown): value is PortMessage {
  return typeof value === 'object' && value !== null && ('data' in value || 'ack' in value || 'end' in value);
}

/** Opens a flow-controlled channel on a port. Messages of any other shape are ignored. */
export function openByteChannel(port: BytePort, events: ByteChannelEvents): ByteChannel {
  let inFlight = 0;
  let owed = 0;
  let ended = false;
  let waiting = false;

  function finish(reason: string | null): void {
    if (ended) return;
    ended = true;
    events.onEnd(reason);
  }

  port.onMessage((message) => {
    if (!isMessage(message) || ended) return;
    if ('data' in message && message.data instanceof Uint8Array) {
      const { data } = message;
      let given = false;
      events.onData(data, () => {
        if (given || ended) return;
        given = true;
        owed += data.byteLength;
        // The other side never waits for less: what it may have in flight is more than what can be owed.
        if (owed < CREDIT) return;
        port.post({ ack: owed });
        owed = 0;
      });
    } else if ('ack' in message && typeof message.ack === 'number') {
      inFlight = Math.max(0, inFlight - message.ack);
      if (waiting && inFlight < WINDOW) {
        waiting = false;
        events.onDrain?.();
      }
    } else if ('end' in message) {
      finish(typeof message.end === 'string' ? message.end : null);
      port.close();
    }
  });
  port.onClose(() => finish(null));

  return {
    write(bytes) {
      if (ended) return false;
      inFlight += bytes.byteLength;
      port.post({ data: bytes });
      if (inFlight >= WINDOW) waiting = true;
      return !waiting;
    },
    end(reason) {
      if (ended) return;
      port.post({ end: reason ?? null });
      finish(reason ?? null);
      port.close();
    },
  };
}
