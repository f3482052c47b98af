import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { root } from './scratch.ts';

/** Takes a picture for the documentation if LAGO_SCREENSHOTS=1 is set; otherwise does nothing. */
export async function picture(page: Page, name: string): Promise<void> {
  if (process.env['LAGO_SCREENSHOTS'] !== '1') return;
  const folder = join(root, 'docs/screenshots');
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
