import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Runs the unit tests with a fast-check that takes seed and number of inputs from environment variables.
export default defineConfig({
  resolve: { alias: [{ find: /^fast-check$/, replacement: join(import.meta.dirname, 'more-inputs.ts') }] },
  test: { include: ['src-*/**/*.test.ts'], exclude: ['**/*.lab.test.ts'], testTimeout: 3_600_000 },
});
