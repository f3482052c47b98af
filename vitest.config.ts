import { defineConfig } from 'vitest/config';

const sources = ['src-main/**', 'src-shared/**', 'src-renderer/**', 'scripts/**'];

// `unit` needs nothing but Node; `lab` starts real libvirt hosts and guests in namespaces, or many processes, one file after the other.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: sources.flatMap((folder) => [`${folder}/*.test.ts`, `${folder}/*.test.tsx`]),
          exclude: ['**/*.lab.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'lab',
          include: sources.map((folder) => `${folder}/*.lab.test.ts`),
          fileParallelism: false,
          // What passes only then is named by `npm test`, and is a bug.
          retry: 1,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
