import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { app, type BrowserWindow, dialog, protocol, session, shell } from 'electron';
import type { Engine, Log, StreamTable } from '../engine/index.ts';
import { readArguments } from './arguments.ts';
import { openFileLog } from './file-log.ts';
import { type EngineRouter, sendToPage, serveIpc } from './ipc.ts';
import { setMenu } from './menu.ts';
import { choosePath } from './path-dialog.ts';
import { RunningOperations } from './running.ts';
import { APP_ORIGIN, APP_SCHEME, APP_URL, assetHeaders, assetPath, guardSession } from './security.ts';
import { openWindow, zoom } from './window.ts';

const FATAL_DRAIN_MS = 10_000;
const BUNDLE = path.join(import.meta.dirname, '../renderer');
const PRELOAD = path.join(import.meta.dirname, '../preload/index.cjs');
const devUrl = app.isPackaged ? undefined : process.env['ELECTRON_RENDERER_URL'];
const origin = devUrl === undefined ? APP_ORIGIN : new URL(devUrl).origin;

type LeaveChoice = 'keep' | 'cancel' | 'stay';

/** One run of the application: the engine, its window, and how both close. */
class Desktop {
  readonly #log: Log;
  readonly #workdir: string | undefined;
  readonly #stop = new AbortController();
  readonly #router: Promise<EngineRouter>;
  readonly #routerReady: (router: EngineRouter) => void;
  readonly #routerFailed: (error: unknown) => void;
  #open: string | null;
  #window: BrowserWindow | undefined;
  #engine: Engine | undefined;
  #streams: StreamTable | undefined;
  #running: RunningOperations | undefined;
  #mayClose = false;
  /** The question about running operations that is on screen now. */
  #question: symbol | undefined;
  #quitting = false;

  constructor(log: Log, open: string | null, workdir: string | undefined) {
    this.#log = log;
    this.#open = open;
    this.#workdir = workdir;
    let ready: (router: EngineRouter) => void = () => undefined;
    let failed: (error: unknown) => void = () => undefined;
    this.#router = new Promise<EngineRouter>((resolve, reject) => {
      ready = resolve;
      failed = reject;
    });
    this.#router.catch(() => undefined); // start() reports the error
    this.#routerReady = ready;
    this.#routerFailed = failed;
  }

  /** Shows the window, then opens the engine. */
  start(): void {
    serveIpc({
      router: this.#router,
      takeStream: (id) => this.#streams?.take(id),
      windowOf: (sender) => (this.#window?.webContents === sender ? this.#window : undefined),
      origin,
      log: this.#log,
    });
    setMenu({
      openFile: () => this.#chooseFile(),
      zoom: (step) => {
        if (this.#window !== undefined) zoom(this.#window, step);
      },
    });
    const window = this.#show();
    window.once('show', () => {
      this.#openEngine().catch((error: unknown) => {
        this.#routerFailed(error);
        const text = error instanceof Error ? error.message : String(error);
        this.#log.error(`The engine did not open: ${text}`);
        dialog.showErrorBox('Lago Desktop cannot start', text);
        this.#exit(1);
      });
    });
  }

  /** Handles a second start: brings the window to the front and opens the file, if any. */
  again(open: string | null): void {
    if (this.#quitting) return;
    const present = this.#window;
    if (present === undefined) {
      this.#open = open;
      this.#show();
      return;
    }
    if (present.isMinimized()) present.restore();
    present.show();
    present.focus();
    if (open !== null) sendToPage(present, { lago: 'open', path: open });
  }

  /** The user's answer to the question about running operations. */
  async leave(choice: LeaveChoice): Promise<boolean> {
    this.#question = undefined;
    if (choice === 'stay') return false;
    this.#mayClose = true;
    if (choice === 'keep') {
      this.#window?.close();
      return true;
    }
    await this.#running?.cancelAll();
    this.#window?.close();
    return true;
  }

  /** Called when no window is left: ends the program once nothing runs. */
  async finish(): Promise<void> {
    await this.#running?.drained();
    if (this.#window !== undefined) return; // reopened meanwhile
    this.#exit(0);
  }

  /** Handles SIGTERM and SIGINT: cancels and undoes running operations, then exits. */
  async terminate(): Promise<void> {
    this.#mayClose = true;
    await this.#running?.cancelAll();
    this.#exit(0);
  }

  /** Handles an uncaught error: closes the engine and exits with 1. Environments keep running. */
  fatal(error: unknown): void {
    this.#log.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    this.#exit(1);
  }

  #show(): BrowserWindow {
    this.#mayClose = false;
    const window = openWindow({
      url: devUrl ?? APP_URL,
      preload: PRELOAD,
      log: this.#log,
      mayClose: (closing) => {
        if (this.#mayClose || this.#quitting || (this.#running?.count ?? 0) === 0 || closing.webContents.isCrashed()) return true;
        sendToPage(closing, { lago: 'closing' });
        this.#closeWhenDone(closing).catch((error: unknown) => this.fatal(error));
        return false;
      },
    });
    window.on('closed', () => {
      if (this.#window === window) this.#window = undefined;
    });
    this.#window = window;
    return window;
  }

  /** Closes the window once no operation runs, unless the user has answered the question meanwhile. */
  async #closeWhenDone(window: BrowserWindow): Promise<void> {
    const question = Symbol('closing');
    this.#question = question;
    await this.#running?.drained();
    if (this.#question !== question || this.#window !== window) return;
    this.#mayClose = true;
    window.close();
  }

  async #openEngine(): Promise<void> {
    const { createRouter, createStreamTable, openEngine, readSetUp } = await import('../engine/index.ts');
    const engine = await openEngine({
      ...(await readSetUp(this.#log)),
      resourcesDir: app.isPackaged ? path.join(process.resourcesPath, 'resources') : path.join(app.getAppPath(), 'resources'),
      ...(this.#workdir === undefined ? {} : { workdir: this.#workdir }),
      log: this.#log,
    });
    this.#engine = engine;
    this.#running = new RunningOperations(engine);
    void this.#running.follow(this.#stop.signal, this.#log);
    const streams = createStreamTable();
    this.#streams = streams;
    this.#routerReady(
      createRouter({
        engine,
        streams,
        app: {
          version: app.getVersion(),
          open: () => {
            const open = this.#open;
            this.#open = null;
            return open;
          },
          leave: async (choice: LeaveChoice) => await this.leave(choice),
          showInFolder: (file: string) => shell.showItemInFolder(file),
        },
      }),
    );
  }

  #chooseFile(): void {
    const window = this.#window;
    if (window === undefined) return;
    choosePath(window, { what: 'init file' })
      .then((file) => {
        if (file !== null) sendToPage(window, { lago: 'open', path: file });
      })
      .catch((error: unknown) => this.#log.error(`The file dialog failed: ${String(error)}`));
  }

  /** Closes the engine, within a time limit, and exits. Only the first call counts. */
  #exit(code: number): void {
    if (this.#quitting) return;
    this.#quitting = true;
    const limit = setTimeout(() => app.exit(code), FATAL_DRAIN_MS);
    this.#stop.abort();
    Promise.resolve(this.#engine?.[Symbol.asyncDispose]())
      .catch((error: unknown) => this.#log.error(`Closing the engine failed: ${String(error)}`))
      .finally(() => {
        clearTimeout(limit);
        app.exit(code);
      });
  }
}

async function serveBundle(request: Request): Promise<Response> {
  const file = request.method === 'GET' ? assetPath(BUNDLE, request.url) : undefined;
  if (file === undefined) return new Response('Not found', { status: 404 });
  try {
    return new Response(await readFile(file), { headers: assetHeaders(file) });
  } catch {
    return new Response('Not found', { status: 404 });
  }
}

function main(): void {
  const started = readArguments(process.argv, process.defaultApp === true, process.cwd());
  if (!app.requestSingleInstanceLock({ open: started.open })) {
    app.exit(0);
    return;
  }
  const log = openFileLog(path.join(app.getPath('logs'), 'desktop.log'));
  const desktop = new Desktop(log, started.open, started.workdir);
  process.on('uncaughtException', (error) => desktop.fatal(error));
  process.on('unhandledRejection', (reason) =>
    log.error(`Unhandled rejection: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`),
  );
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      desktop.terminate().catch((error: unknown) => desktop.fatal(error));
    });
  }
  app.on('second-instance', (_event, _argv, _cwd, data) => {
    const open = typeof data === 'object' && data !== null && 'open' in data && typeof data.open === 'string' ? data.open : null;
    desktop.again(open);
  });
  app.on('window-all-closed', () => {
    desktop.finish().catch((error: unknown) => desktop.fatal(error));
  });
  app.whenReady().then(
    () => {
      guardSession(session.defaultSession, origin);
      protocol.handle(APP_SCHEME, serveBundle);
      desktop.start();
    },
    (error: unknown) => desktop.fatal(error),
  );
}

protocol.registerSchemesAsPrivileged([
  { scheme: APP_SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
]);
main();
