import type { Collections } from './engine.ts';

/** Calls on what was collected. Their code is loaded when one is first called. */
export function collectionCalls(): Collections {
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
    async remove(prefix, id) {
      const { removeCollection } = await import('./recipes/collect/collections.ts');
      await removeCollection(prefix, id);
    },
  };
}
