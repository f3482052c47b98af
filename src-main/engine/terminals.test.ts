import type { PassThrough } from 'node:stream';
import { call } from '@orpc/server';
import { expect, test } from 'vitest';
import { EngineError } from '../../src-shared/errors.ts';
import { createRouter } from './api.ts';
import type { Engine } from './engine.ts';
import { createStreamTable } from './streams.ts';

test.each(['serial', 'screen'] as const)('closing the page ends the wait for a %s', async (kind) => {
  const open = async (_prefix: string, _vm: string, how?: AbortSignal | { readonly signal?: AbortSignal }): Promise<PassThrough> =>
    await new Promise((_resolve, reject) => {
      const signal = how instanceof AbortSignal ? how : how?.signal;
      signal?.addEventListener('abort', () => reject(new EngineError('cancelled', 'Cancelled.')));
    });
  const engine = { prefix: { pathOf: (id: string) => id }, vm: { console: open, screen: open } } as unknown as Engine;
  const app = { version: '', open: () => null, leave: async () => true };
  const router = createRouter({ engine, streams: createStreamTable(), app });
  const page = new AbortController();
  const answer = call(router.terminal.open, { prefix: 'p', vm: 'web', kind, columns: 80, rows: 24 }, { signal: page.signal });
  setImmediate(() => page.abort());
  await expect(answer).rejects.toThrow('Cancelled.');
});
