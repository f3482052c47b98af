import { defineConfig } from '@playwright/test';

// One window at a time: guests are emulated and share the machine's cores.
export default defineConfig({
  testDir: '.',
  testMatch: '**/*.spec.ts',
  outputDir: '../test-results/e2e',
  timeout: 300_000,
  expect: { timeout: 30_000 },
  workers: 1,
  // `npm test` lists tests that pass only on retry; each of them is a bug.
  retries: 1,
  forbidOnly: true,
  reporter: 'list',
});
