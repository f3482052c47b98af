import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { diskError } from '../../core/json-file.ts';

/** Where QEMU writes the memory of one VM: a unix socket, since QEMU may neither start programs nor open files in its sandbox. */
export interface MemorySink extends AsyncDisposable {
  /** The socket as QEMU's address of a migration. */
  readonly uri: string;
  /** Bytes that have arrived so far. */
  arrived(): number;
  /** The number of bytes, once QEMU has closed its end. `host.no-space` and the like when the file cannot be written. */
  written(): Promise<number>;
}

/** Where the memory of this domain is written to. Short whatever its name: paths of sockets are limited to 107 bytes. */
export function memorySocket(folder: string, domain: string): string {
  return join(folder, `${createHash('sha256').update(domain).digest('hex').slice(0, 12)}.mem`);
}

/** Larger than what arrives at once: fewer writes. */
const BUFFER = 1024 * 1024;

/**
 * Listens on `socket` (at most 107 bytes) for one connection, whose bytes go to the new file `path`, which only its owner can read. When
 * that fails the connection is closed, and QEMU's migration fails with it. Disposing it closes everything; the file stays.
 */
export async function openMemorySink(socket: string, path: string): Promise<MemorySink> {
  await rm(socket, { force: true });
  let connection: Socket | undefined;
  let outcome: { readonly bytes: number } | { readonly error: unknown } | undefined;
  let told: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    told = resolve;
  });
  const end = (how: typeof outcome): void => {
    outcome ??= how;
    told();
  };
  const server = createServer((from) => {
    connection = from;
    server.close();
    const file = createWriteStream(path, { flags: 'wx', mode: 0o600, highWaterMark: BUFFER });
    pipeline(from, file).then(
      () => end({ bytes: file.bytesWritten }),
      (error: unknown) => end({ error: diskError(error, path) }),
    );
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    uri: `unix:${socket}`,
    arrived: () => connection?.bytesRead ?? 0,
    async written() {
      await ended;
      if (outcome === undefined || 'error' in outcome) throw outcome?.error;
      return outcome.bytes;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      end({ error: new Error('The memory sink was closed.') });
      connection?.destroy();
      await rm(socket, { force: true });
    },
  };
}
