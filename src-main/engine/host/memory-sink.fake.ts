import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { diskError } from '../core/json-file.ts';
import type { MemorySink, MemorySinks, OpenMemorySinks, SinkPlace } from './memory-sink.ts';

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
  let connection: Socket | undefined;
  let resolve: (bytes: number) => void;
  let reject: (error: unknown) => void;
  const end = new Promise<number>((resolved, rejected) => {
    [resolve, reject] = [resolved, rejected];
  });
  end.catch(() => undefined);
  const server = createServer((from) => {
    connection = from;
    server.close();
    const output = createWriteStream(file, { flags: 'wx', mode: 0o600 });
    from.on('error', () => output.destroy());
    output.on('error', (error) => {
      from.resume();
      reject(diskError(error, file));
    });
    output.on('close', () => resolve(from.bytesRead));
    from.pipe(output);
  });
  server.listen(socket);
  await once(server, 'listening');
  return { uri: `unix:${socket}`, arrived: () => connection?.bytesRead ?? 0, written: async () => await end, close: () => server.close() };
}
