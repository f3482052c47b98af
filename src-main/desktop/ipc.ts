import type { Duplex } from 'node:stream';
import {
  type BrowserWindow,
  type IpcMainEvent,
  type IpcMainInvokeEvent,
  ipcMain,
  MessageChannelMain,
  type MessagePortMain,
} from 'electron';
import { type BridgeMessage, isPathRequest } from '../../src-shared/bridge.ts';
import { type BytePort, openByteChannel } from '../../src-shared/byte-stream.ts';
import { CHANNELS } from '../../src-shared/channels.ts';
import type { createRouter, Log } from '../engine/index.ts';
import { choosePath } from './path-dialog.ts';
import { pump } from './pump.ts';
import { isTrustedSender } from './security.ts';

/** What the oRPC port serves. */
export type EngineRouter = ReturnType<typeof createRouter>;

const STREAM_ID_LENGTH = 100;

export interface IpcOptions {
  /** Resolves when the engine is open; earlier calls wait for it. */
  readonly router: Promise<EngineRouter>;
  /** Hands over a stream that `terminal.open` registered, once. */
  takeStream(id: string): Duplex | undefined;
  /** The window that a page belongs to; undefined for any other contents. */
  windowOf(sender: Electron.WebContents): BrowserWindow | undefined;
  /** Origin of the page. */
  readonly origin: string;
  readonly log: Log;
}

/** Sends a message, with its port if it has one, to a window's page. */
export function sendToPage(window: BrowserWindow, message: BridgeMessage, ports: MessagePortMain[] = []): void {
  if (!window.isDestroyed()) window.webContents.postMessage(CHANNELS.message, message, ports);
}

/** Adapts a port of the main process to the byte stream. */
function bytePort(port: MessagePortMain): BytePort {
  return {
    post: (message) => port.postMessage(message),
    onMessage: (listener) => port.on('message', (event) => listener(event.data)),
    onClose: (listener) => port.on('close', listener),
    close: () => port.close(),
  };
}

/** The only listener on Electron's IPC. Messages from any frame but a window's own page are logged and dropped. */
export function serveIpc(options: IpcOptions): void {
  function windowFor(event: IpcMainEvent | IpcMainInvokeEvent): BrowserWindow | undefined {
    const window = options.windowOf(event.sender);
    if (window !== undefined && isTrustedSender(event.senderFrame, options.origin)) return window;
    options.log.warn(`Dropped a message from ${event.senderFrame?.url ?? 'a frame that is gone'}.`);
    return undefined;
  }

  ipcMain.on(CHANNELS.connect, (event) => {
    const window = windowFor(event);
    if (window === undefined) return;
    const { port1, port2 } = new MessageChannelMain();
    sendToPage(window, { lago: 'rpc' }, [port2]);
    void serveCalls(port1);
  });

  async function serveCalls(port: MessagePortMain): Promise<void> {
    let router: EngineRouter;
    try {
      router = await options.router;
    } catch {
      port.close(); // the caller that opens the engine reports the error
      return;
    }
    // Not before: the window is shown without any of the engine.
    const { RPCHandler } = await import('@orpc/server/message-port');
    new RPCHandler(router).upgrade(port);
    port.start();
  }

  ipcMain.on(CHANNELS.attach, (event, raw: unknown) => {
    const window = windowFor(event);
    if (window === undefined || typeof raw !== 'string' || raw === '' || raw.length > STREAM_ID_LENGTH) return;
    const { port1, port2 } = new MessageChannelMain();
    const stream = options.takeStream(raw);
    sendToPage(window, { lago: 'stream', stream: raw }, [port2]);
    if (stream === undefined) {
      openByteChannel(bytePort(port1), { onData: (_bytes, taken) => taken(), onEnd: () => undefined }).end(
        'This stream has been closed. Open it again.',
      );
    } else {
      pump(stream, bytePort(port1));
    }
    port1.start();
  });

  ipcMain.handle(CHANNELS.choosePath, async (event, raw: unknown): Promise<string | null> => {
    const window = windowFor(event);
    return window === undefined || !isPathRequest(raw) ? null : await choosePath(window, raw);
  });
}
