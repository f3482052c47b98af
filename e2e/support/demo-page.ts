import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication, expect, type Page } from '@playwright/test';
import { createServer } from 'vite';
import { root } from './scratch.ts';

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

/** Serves the page on loopback and opens it. */
export async function openDemoPage(): Promise<DemoPage> {
  const profile = mkdtempSync(join(tmpdir(), 'lago-page-'));
  const server = await createServer({
    configFile: join(root, 'src-renderer/dev/vite.config.ts'),
    cacheDir: join(profile, 'vite'),
    logLevel: 'error',
    server: { port: 0, strictPort: false, hmr: false, watch: null },
  });
  await server.listen();
  const address = server.resolvedUrls?.local[0];
  if (address === undefined) throw new Error('The page is not served.');
  const app: ElectronApplication = await _electron.launch({
    args: [`--user-data-dir=${join(profile, 'electron')}`, join(root, 'bench/reference/empty-window')],
    chromiumSandbox: process.getuid?.() !== 0,
  });
  const page = await app.firstWindow();
  return {
    page,
    async show(scenario) {
      await page.goto(`${address}dev/index.html`);
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
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
