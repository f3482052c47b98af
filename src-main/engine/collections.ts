import { basename } from 'node:path';
import type { Collections } from './engine.ts';
import type { Launch } from './vms.ts';

/** Calls on what was collected. Their code is loaded when one is first called. */
export function collectionCalls(launch: Launch): Collections {
  return {
    async list(prefix) {
      const { listCollections } = await import('./recipes/collect/collections.ts');
      return await listCollections(prefix);
    },
    async files(prefix, id, path) {
      const { listCollected } = await import('./recipes/collect/collections.ts');
      return await listCollected(prefix, id, path);
    },
    async read(prefix, id, path, from, length) {
      const { readCollected } = await import('./recipes/collect/collections.ts');
      return await readCollected(prefix, id, path, from, length);
    },
    async compare(prefix, before, after) {
      const { compareCollections } = await import('./recipes/collect/compare-collections.ts');
      return await compareCollections(prefix, before, after);
    },
    async diff(prefix, before, after, path) {
      const { diffCollected } = await import('./recipes/collect/diff-collected.ts');
      return await diffCollected(prefix, before, after, path);
    },
    save: (prefix, id, path, destination, action) =>
      launch('copy', `Save ${path === '' ? 'the collection' : basename(path)}`, prefix, action, async (step) => {
        const { saveCollected } = await import('./recipes/collect/save-collected.ts');
        await saveCollected(prefix, id, path, destination, step);
      }),
    async pathOf(prefix, id, path) {
      const { pathOfCollected } = await import('./recipes/collect/collections.ts');
      return await pathOfCollected(prefix, id, path);
    },
    async remove(prefix, id) {
      const { removeCollection } = await import('./recipes/collect/collections.ts');
      await removeCollection(prefix, id);
    },
  };
}
