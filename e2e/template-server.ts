import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** One request for a part or all of a file. */
interface Asked {
  readonly path: string;
  /** First byte that was asked for. */
  readonly from: number;
}

/** A web server on loopback with ranges, as slow as a test wants it. */
export interface TemplateServer {
  readonly url: string;
  /** GET requests so far, oldest first. */
  readonly asked: readonly Asked[];
  put(path: string, content: Buffer | string): void;
  /** Sends so many bytes a second from now on, also where it sends already. */
  setRate(bytesPerSecond: number): void;
  close(): Promise<void>;
}

const TICK_MS = 50;

export async function startTemplateServer(): Promise<TemplateServer> {
  const files = new Map<string, Buffer>();
  const asked: Asked[] = [];
  let rate = Number.POSITIVE_INFINITY;

  async function send(content: Buffer, response: ServerResponse): Promise<void> {
    let sent = 0;
    while (sent < content.length && !response.destroyed) {
      const part = content.subarray(sent, sent + Math.max(1, Math.min(content.length, Math.round((rate * TICK_MS) / 1000))));
      response.write(part);
      sent += part.length;
      if (sent < content.length) await pause(TICK_MS);
    }
    response.end();
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    const content = files.get(path);
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const from = range === null ? 0 : Number(range[1]);
    response.writeHead(range === null ? 200 : 206, {
      etag: '"1"',
      'accept-ranges': 'bytes',
      'content-length': content.length - from,
      ...(range === null ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    asked.push({ path, from });
    void send(content.subarray(from), response);
  }

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    put: (path, content) => files.set(path, Buffer.from(content)),
    setRate(bytesPerSecond) {
      rate = bytesPerSecond;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
