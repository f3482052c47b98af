import type { Duplex } from 'node:stream';
import { app, BrowserWindow, ipcMain, MessageChannelMain } from 'electron';

/** The main process of the bench `terminal-flood`; the engine's and the desktop's parts are given to it by its bundle. */
export interface Parts {
  readonly openScreenOf: (columns: number, rows: number, onDrained: () => void) => Promise<unknown>;
  readonly TerminalSession: new (of: object, screen: unknown, onChange: () => void) => FloodedSession;
  readonly pump: (stream: Duplex, port: object) => void;
}

interface FloodedSession {
  connect(source: object): void;
  attach(columns: number, rows: number): Duplex;
  onOutput(bytes: Buffer): boolean;
  onStatus(status: string, reason: object): void;
  onDrained(): void;
  close(): void;
}

const ECHO = Buffer.from('\x1b]7001;k\x07');
const END = Buffer.from('\x1b]7002;end\x07');

/** Floods in progress: otherwise nothing but themselves refers to a paused one and its port. */
const running = new Set<object>();

/** A guest that prints `chunk` `times` times as fast as it is read, and echoes each key. */
function flood(session: FloodedSession, chunk: Buffer, times: number): void {
  let left = times;
  let stopped = false;
  const go = (): void => {
    if (stopped || left < 0) return;
    stopped = !session.onOutput(left > 0 ? chunk : END);
    left -= 1;
    if (!stopped) setImmediate(go);
  };
  session.connect({
    write: (_keys: Buffer, done: () => void) => {
      session.onOutput(ECHO);
      done();
    },
    ready: () => {
      if (!stopped) return;
      stopped = false;
      setImmediate(go);
    },
    resize: () => undefined,
    close: () => {
      left = -1;
    },
  });
  session.onStatus('connected', {});
  setImmediate(go);
}

/** Opens the window and serves its floods. */
export async function serveFloods(parts: Parts, page: string, preload: string): Promise<void> {
  await app.whenReady();
  ipcMain.on('flood', (event, { chunk, times }: { readonly chunk: Uint8Array; readonly times: number }) => {
    const { port1, port2 } = new MessageChannelMain();
    const serve = async (): Promise<void> => {
      const screen = await parts.openScreenOf(120, 30, () => session.onDrained());
      const session = new parts.TerminalSession({ id: 'flood', prefix: '', vm: '', kind: 'ssh' }, screen, () => undefined);
      flood(session, Buffer.from(chunk), times);
      const stream = session.attach(120, 30);
      running.add(session).add(port1);
      stream.once('close', () => {
        session.close();
        running.delete(session);
        running.delete(port1);
      });
      parts.pump(stream, {
        post: (message: unknown) => port1.postMessage(message),
        onMessage: (listener: (message: unknown) => void) => port1.on('message', ({ data }) => listener(data)),
        onClose: (listener: () => void) => port1.on('close', listener),
        close: () => port1.close(),
      });
      event.sender.postMessage('port', null, [port2]);
      port1.start();
    };
    void serve();
  });
  const window = new BrowserWindow({ width: 1200, height: 700, webPreferences: { preload, sandbox: true, contextIsolation: false } });
  await window.loadFile(page);
}
