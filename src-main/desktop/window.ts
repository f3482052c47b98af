import { BrowserWindow, dialog, nativeTheme, shell } from 'electron';
import type { Log } from '../engine/index.ts';
import { guardContents, linkPolicy, windowOptions } from './security.ts';
import { type ZoomStep, zoomAfter, zoomStep } from './zoom.ts';

const RELOADS = 3;
const RELOAD_PERIOD_MS = 60_000;

export interface WindowOptions {
  /** Address of the page. */
  readonly url: string;
  /** Bundled preload script. */
  readonly preload: string;
  readonly log: Log;
  /** Called when the user closes the window; true lets it close. */
  mayClose(window: BrowserWindow): boolean;
}

async function openLink(window: BrowserWindow, address: string, log: Log): Promise<void> {
  const policy = linkPolicy(address);
  if (policy === 'refuse') {
    log.warn(`Did not open the link ${address}.`);
    return;
  }
  if (policy === 'ask') {
    const answer = await dialog.showMessageBox(window, {
      type: 'question',
      message: 'Open this address in the browser?',
      detail: address,
      buttons: ['Open', 'Cancel'],
      defaultId: 1,
      cancelId: 1,
    });
    if (answer.response !== 0) return;
  }
  await shell.openExternal(address);
}

/** Zooms a window in or out. */
export function zoom(window: BrowserWindow, step: ZoomStep): void {
  window.webContents.setZoomFactor(zoomAfter(window.webContents.getZoomFactor(), step));
}

/** Opens a window and shows it at its first paint. A crashed page is reloaded; operations continue meanwhile. */
export function openWindow(options: WindowOptions): BrowserWindow {
  const { log } = options;
  const window = new BrowserWindow({
    ...windowOptions(options.preload),
    backgroundColor: nativeTheme.shouldUseDarkColors ? '#16181d' : '#ffffff',
  });
  const crashes: number[] = [];
  guardContents(window.webContents, (address) => {
    openLink(window, address, log).catch((error: unknown) => log.warn(`Opening ${address} failed: ${String(error)}`));
  });
  // A menu accelerator takes one key, but each zoom step has several.
  window.webContents.on('before-input-event', (event, input) => {
    const step = zoomStep(input);
    if (step === undefined) return;
    event.preventDefault();
    zoom(window, step);
  });
  window.once('ready-to-show', () => window.show());
  window.on('page-title-updated', (event) => event.preventDefault());
  window.on('close', (event) => {
    if (!options.mayClose(window)) event.preventDefault();
  });
  window.webContents.on('render-process-gone', (_event, details) => {
    if (details.reason === 'clean-exit' || window.isDestroyed()) return;
    const now = Date.now();
    crashes.push(now);
    const recent = crashes.filter((at) => now - at < RELOAD_PERIOD_MS).length;
    log.error(`The page ended (${details.reason}, exit code ${details.exitCode}).`);
    if (recent <= RELOADS) window.webContents.reload();
    else
      dialog.showErrorBox('The window keeps crashing', 'Your environments go on running. Close the window and start Lago Desktop again.');
  });
  window.webContents.on('did-fail-load', (_event, code, description, address) => {
    log.error(`Loading ${address} failed: ${description} (${code}).`);
    window.show(); // otherwise the program would run without a window
  });
  void window.loadURL(options.url).catch((error: unknown) => log.error(`Loading the page failed: ${String(error)}`));
  return window;
}
