import type { PassThrough } from 'node:stream';
import { call } from '@orpc/server';
import { expect, test } from 'vitest';
import { EngineError } from '../../src-shared/errors.ts';
import { createRouter } from './api.ts';
import type { Engine } from './engine.ts';
import { createStreamTable } from './streams.ts';

test('closing the page ends the wait for a screen', async () => {
  const open = async (_prefix: string, _vm: string, signal?: AbortSignal): Promise<PassThrough> =>
    await new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new EngineError('cancelled', 'Cancelled.')));
    });
  const engine = { prefix: { pathOf: (id: string) => id }, vm: { screen: open } } as unknown as Engine;
  const app = { version: '', open: () => null, leave: async () => true, showInFolder: () => undefined };
  const router = createRouter({ engine, streams: createStreamTable(), app });
  const page = new AbortController();
  const answer = call(
    router.terminal.open,
    { prefix: 'p', vm: 'web', kind: 'screen', columns: 80, rows: 24, session: 's1' },
    { signal: page.signal },
  );
  setImmediate(() => page.abort());
  await expect(answer).rejects.toThrow('Cancelled.');
});

test('only what the engine finds in a collection is shown in the file manager', async () => {
  const pathOf = async (prefix: string, id: string, path: string): Promise<string> => {
    if (path.includes('..')) throw new EngineError('input.missing-file', 'There is no such file in this collection.');
    return await Promise.resolve(`/${prefix}/${id}/${path}`);
  };
  const engine = { prefix: { pathOf: (id: string) => id }, collection: { pathOf } } as unknown as Engine;
  const shown: string[] = [];
  const app = { version: '', open: () => null, leave: async () => true, showInFolder: (path: string) => void shown.push(path) };
  const router = createRouter({ engine, streams: createStreamTable(), app });
  await call(router.collection.show, { prefix: 'p', collection: 'one', path: 'web/log' });
  await expect(call(router.collection.show, { prefix: 'p', collection: 'one', path: '../x' })).rejects.toThrow('no such file');
  expect(shown).toEqual(['/p/one/web/log']);
});
