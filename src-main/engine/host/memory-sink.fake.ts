import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { diskError } from '../core/files/json-file.ts';
import { type MemorySink, type MemorySinks, type OpenMemorySinks, type SinkPlace, SinkProgress } from './memory-sink.ts';

/** Sinks in this process, for tests of recipes: they begin at once. */
export const fakeMemorySinks: OpenMemorySinks = async (places): Promise<MemorySinks> => {
  const opened = await Promise.all(places.map(open));
  return {
    sinks: opened,
    async [Symbol.asyncDispose]() {
      for (const one of opened) one.close();
      await Promise.all(places.map(async ({ socket }) => await rm(socket, { force: true })));
    },
  };
};

async function open({ socket, file }: SinkPlace): Promise<MemorySink & { close(): void }> {
  await rm(socket, { force: true });
  const progress = new SinkProgress();
  const server = createServer((from) => {
    server.close();
    const output = createWriteStream(file, { flags: 'wx', mode: 0o600 });
    from.on('data', () => {
      progress.bytes = from.bytesRead;
    });
    from.on('error', () => output.destroy());
    output.on('error', (error) => {
      from.resume();
      progress.end({ error: diskError(error, file) });
    });
    output.on('close', () => progress.end({ bytes: from.bytesRead }));
    from.pipe(output);
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    uri: `unix:${socket}`,
    arrived: () => progress.bytes,
    written: async () => await progress.written(),
    close: () => server.close(),
  };
}
