import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication, expect, type Page } from '@playwright/test';
import { build, preview } from 'vite';
import { removeFolder, root } from './scratch.ts';

/** The page on its demo engine, in an Electron window without the main program: all views, no VM. */
export interface DemoPage {
  readonly page: Page;
  /** Reloads the page with this scenario, without remembered state. */
  show(scenario: string): Promise<void>;
  /** Sets the page's size in px, as a window of that size would. */
  resize(width: number, height: number): Promise<void>;
  /** Brings the running environment of the demo to the front. */
  showShop(): Promise<void>;
  /** Opens the demo's init file and shows its plan. */
  showPlan(): Promise<void>;
  /** Opens a terminal to a VM of the environment in front. */
  openTerminal(): Promise<void>;
  close(): Promise<void>;
}

/** The demo's environment with two running VMs. */
export const SHOP = 'shop-cluster';

const CONFIG = join(root, 'src-renderer/dev/vite.config.ts');
let built: Promise<string> | undefined;

/** Builds the page as the product's is, once for this worker of the test runner; returns the folder. */
async function buildPage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'lago-page-'));
  process.once('exit', () => removeFolder(folder));
  const input = join(root, 'src-renderer/dev/index.html');
  await build({ configFile: CONFIG, logLevel: 'error', build: { outDir: folder, rolldownOptions: { input } } });
  return folder;
}

/** Serves the page on loopback and opens it. */
export async function openDemoPage(): Promise<DemoPage> {
  built ??= buildPage();
  const outDir = await built;
  const server = await preview({
    configFile: CONFIG,
    logLevel: 'error',
    build: { outDir },
    preview: { host: '127.0.0.1', port: 0, strictPort: false },
  });
  const address = server.resolvedUrls?.local[0];
  if (address === undefined) throw new Error('The page is not served.');
  const profile = mkdtempSync(join(tmpdir(), 'lago-profile-'));
  const app: ElectronApplication = await _electron.launch({
    args: [`--user-data-dir=${profile}`, join(root, 'bench/reference/empty-window')],
    chromiumSandbox: process.getuid?.() !== 0,
  });
  const page = await app.firstWindow();
  return {
    page,
    async show(scenario) {
      // Of the same origin, and runs nothing that could remember anything.
      await page.goto(`${address}boot.js`);
      await page.evaluate(() => localStorage.clear());
      await page.goto(`${address}dev/index.html?scenario=${scenario}`);
      await page.locator('[data-testid="shell"][data-connected="true"]').waitFor();
    },
    async resize(width, height) {
      await page.setViewportSize({ width, height });
    },
    async showShop() {
      await page.getByRole('table', { name: 'Environments' }).getByText(SHOP, { exact: true }).click();
      await expect(page.getByRole('table', { name: 'VMs' })).toBeVisible();
    },
    async showPlan() {
      await page.getByRole('button', { name: 'Open a file', exact: true }).click();
      await expect(page.getByRole('table', { name: 'Planned VMs' })).toBeVisible();
    },
    async openTerminal() {
      await page.getByRole('button', { name: 'Terminal of web' }).click();
      await expect(page.getByTestId('terminal')).toBeVisible();
    },
    async close() {
      await app.close();
      await server.close();
      removeFolder(profile);
    },
  };
}
