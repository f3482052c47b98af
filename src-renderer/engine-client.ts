import { createORPCClient } from '@orpc/client';
import { RPCLink } from '@orpc/client/message-port';
import type { ContractRouterClient } from '@orpc/contract';
import { type Bridge, isBridgeMessage } from '../src-shared/bridge.ts';
import { type ByteChannel, type ByteChannelEvents, type BytePort, openByteChannel } from '../src-shared/byte-stream.ts';
import type { Contract, LiveEvent } from '../src-shared/contract.ts';
import { EngineError, ERROR_CODES, type ErrorCode, type WireError } from '../src-shared/errors.ts';

/** Every call of the contract, typed. Read rejections with `readError`. */
export type EngineClient = ContractRouterClient<Contract>;

declare global {
  interface Window {
    readonly bridge: Bridge;
  }
}

/** State of the connection to the engine. `since` in ms since the epoch. */
export type ConnectionState =
  | { readonly status: 'connecting' }
  | { readonly status: 'connected' }
  | { readonly status: 'lost'; readonly since: number; readonly cause: string };

/** Callbacks of the connection. */
export interface ConnectionEvents {
  onState(state: ConnectionState): void;
  onEvent(event: LiveEvent): void;
}

const PORT_TIMEOUT = 5_000;
const RETRY_DELAYS = [250, 1_000, 2_000, 5_000] as const;

function waitForPort(
  ask: () => void,
  fits: (message: { lago: string; stream?: string }) => boolean,
  signal?: AbortSignal,
): Promise<MessagePort> {
  return new Promise((resolve, reject) => {
    function finish(action: () => void): void {
      window.removeEventListener('message', onMessage);
      signal?.removeEventListener('abort', onAbort);
      clearTimeout(timer);
      action();
    }
    function onMessage(event: MessageEvent<unknown>): void {
      const [port] = event.ports;
      if (event.source !== window || port === undefined || !isBridgeMessage(event.data) || !fits(event.data)) return;
      finish(() => resolve(port));
    }
    function onAbort(): void {
      finish(() => reject(new EngineError('cancelled', 'Cancelled.')));
    }
    const timer = setTimeout(() => {
      finish(() =>
        reject(
          new EngineError('not-available', 'The engine did not answer within 5 s.', {
            hint: 'Try again; if the problem persists, restart the program.',
          }),
        ),
      );
    }, PORT_TIMEOUT);
    window.addEventListener('message', onMessage);
    signal?.addEventListener('abort', onAbort);
    ask();
  });
}

/** Resolves when the other end of a port has closed. */
function portEnd(port: MessagePort): Promise<null> {
  return new Promise((resolve) => {
    port.addEventListener('close', () => resolve(null), { once: true });
  });
}

function bytePort(port: MessagePort): BytePort {
  return {
    post: (message) => port.postMessage(message),
    onMessage: (listener) => {
      port.onmessage = (event: MessageEvent<unknown>) => listener(event.data);
    },
    onClose: (listener) => port.addEventListener('close', listener),
    close: () => port.close(),
  };
}

/**
 * The page's one connection to the engine. From `start` to `stop` it connects, forwards the engine's events, and reconnects with growing
 * delays when the connection is lost. Calls on `client` reject with `not-available` while there is no connection.
 */
export class EngineConnection {
  readonly #bridge: Bridge;
  readonly #events: ConnectionEvents;
  #client: EngineClient | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(bridge: Bridge, events: ConnectionEvents) {
    this.#bridge = bridge;
    this.#events = events;
  }

  /** Calls to the currently connected engine. Throws `not-available` when there is none. */
  get client(): EngineClient {
    if (this.#client === undefined) {
      throw new EngineError('not-available', 'The engine is not connected.', {
        hint: 'Wait for the connection to come back, then try again.',
      });
    }
    return this.#client;
  }

  /** Runs until `stop`. */
  async start(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      const cause = await this.#session(() => {
        failures = 0;
      });
      if (this.#stopped) return;
      this.#events.onState({ status: 'lost', since: Date.now(), cause });
      await this.#pause(RETRY_DELAYS[Math.min(failures, RETRY_DELAYS.length - 1)] ?? 5_000);
      failures += 1;
    }
  }

  /** Retries now instead of after the delay. */
  retry(): void {
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Attaches to a stream that `terminal.open` returned. Rejects with `not-available` when no port arrives. */
  async attach(stream: string, events: ByteChannelEvents, signal?: AbortSignal): Promise<ByteChannel> {
    const port = await waitForPort(
      () => this.#bridge.attach(stream),
      (message) => message.lago === 'stream' && message.stream === stream,
      signal,
    );
    const channel = openByteChannel(bytePort(port), events);
    port.start();
    return channel;
  }

  /** Runs one connection from port to end; returns the reason why it ended. */
  async #session(onConnected: () => void): Promise<string> {
    let port: MessagePort | undefined;
    try {
      port = await waitForPort(
        () => this.#bridge.connect(),
        (message) => message.lago === 'rpc',
      );
      const client: EngineClient = createORPCClient(new RPCLink({ port }));
      port.start();
      // An iterator may wait for ever on a closed port, so watch for the port's end as well.
      const ended = portEnd(port);
      const live = await Promise.race([client.live(), ended]);
      if (live === null) return 'The engine closed the connection.';
      this.#client = client;
      onConnected();
      for (let spoken = false; ; spoken = true) {
        const next = await Promise.race([live.next(), ended]);
        if (next === null) return 'The engine closed the connection.';
        if (next.done === true) return 'The engine ended the connection.';
        this.#events.onEvent(next.value);
        // The first event lists the environments; from here on the page is up to date.
        if (!spoken) this.#events.onState({ status: 'connected' });
      }
    } catch (error) {
      return readError(error).message;
    } finally {
      this.#client = undefined;
      port?.close();
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function isWireError(value: unknown): value is WireError {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message } = value as { code?: unknown; message?: unknown };
  return typeof message === 'string' && ERROR_CODES.includes(code as ErrorCode);
}

/** Converts a rejected call to an error to show: the engine's own error if it sent one, else the message with code `internal`. */
export function readError(error: unknown): WireError {
  if (error instanceof EngineError) return { code: error.code, message: error.message, hint: error.hint, details: error.details };
  const data: unknown = typeof error === 'object' && error !== null && 'data' in error ? error.data : undefined;
  if (isWireError(data)) return { code: data.code, message: data.message, hint: data.hint, details: data.details ?? {} };
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
  return { code: 'internal', message: message === '' ? 'Something failed without a message.' : message, details: stack };
}
