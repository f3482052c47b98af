import { defineConfig } from '@playwright/test';

// One worker for each screen that `npm test` offers. The tests of a file run one after another: they may share an environment.
export default defineConfig({
  testDir: '.',
  testMatch: '**/*.spec.ts',
  outputDir: '../test-results/e2e',
  timeout: 300_000,
  expect: { timeout: 30_000 },
  workers: (process.env['LAGO_TEST_DISPLAYS'] ?? '').split(' ').length,
  // `npm test` lists tests that pass only on retry; each of them is a bug.
  retries: 1,
  forbidOnly: true,
  reporter: 'list',
});
