import { join } from 'node:path';
import { _electron, type ElectronApplication, type Page } from '@playwright/test';
import { root, type Scratch } from './scratch.ts';

/** A running window. */
export interface Desktop {
  readonly app: ElectronApplication;
  readonly page: Page;
  /** The main process's stderr so far. */
  readonly stderr: () => string;
  /** Uncaught errors and error messages of the page so far. */
  readonly pageErrors: () => readonly string[];
  /** Quits as a user would and waits for the process to end. */
  close(): Promise<void>;
  /** Kills the main process with SIGKILL and waits until it is gone. Its pages end by themselves. */
  kill(): Promise<void>;
}

const running = new Set<Desktop>();

/** Starts the built window with its own profile and waits until it is usable; `file` is passed on the command line. */
export async function openDesktop(scratch: Scratch, options: { readonly file?: string } = {}): Promise<Desktop> {
  const app = await _electron.launch({
    args: [
      `--user-data-dir=${join(scratch.dir, 'profile')}`,
      root,
      `--workdir=${scratch.workdir}`,
      ...(options.file === undefined ? [] : [options.file]),
    ],
    env: scratch.env,
    chromiumSandbox: process.getuid?.() !== 0,
    timeout: 60_000,
  });
  const process_ = app.process();
  let stderr = '';
  process_.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = new Promise<void>((resolve) => {
    if (process_.exitCode !== null || process_.signalCode !== null) resolve();
    else process_.once('exit', () => resolve());
  });
  const page = await app.firstWindow();
  const pageErrors: string[] = [];
  page.on('pageerror', (error) => pageErrors.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') pageErrors.push(message.text());
  });
  await page.getByRole('button', { name: 'Open a file', exact: true }).waitFor();
  const desktop: Desktop = {
    app,
    page,
    stderr: () => stderr,
    pageErrors: () => pageErrors,
    async close() {
      running.delete(desktop);
      await app.close();
      await exited;
    },
    async kill() {
      running.delete(desktop);
      process_.kill('SIGKILL');
      await exited;
    },
  };
  running.add(desktop);
  return desktop;
}

/** Closes every window that a test left open; for `afterEach`. */
export async function closeDesktops(): Promise<void> {
  for (const desktop of [...running]) await desktop.kill();
}
