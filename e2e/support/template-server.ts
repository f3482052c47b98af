import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** One GET request for all or part of a file. */
interface Asked {
  readonly path: string;
  /** First byte requested. */
  readonly from: number;
}

/** A web server on loopback with range requests, as slow and unreliable as a test needs. */
export interface TemplateServer extends AsyncDisposable {
  readonly url: string;
  /** GET requests so far, oldest first. */
  readonly asked: readonly Asked[];
  put(path: string, content: Buffer | string): void;
  /** Adds an image with its checksum and metadata; `served` is its compressed form, if any. */
  putImage(path: string, image: Buffer, served?: Buffer, servedPath?: string): void;
  /** Limits the rate in bytes per second from now on, including responses in progress. */
  setRate(bytesPerSecond: number): void;
  /** Drops the next connections that send this file, each after that many bytes. */
  drop(path: string, after: readonly number[]): void;
  /** Delays the next response with this file until `until` resolves. */
  hold(path: string, until: Promise<void>): void;
  close(): Promise<void>;
}

const TICK_MS = 50;

export async function startTemplateServer(): Promise<TemplateServer> {
  const files = new Map<string, Buffer>();
  const drops = new Map<string, number[]>();
  const held = new Map<string, Promise<void>>();
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

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const content = files.get(path);
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const from = range === null ? 0 : Number(range[1]);
    if (request.method === 'GET') {
      asked.push({ path, from });
      const until = held.get(path);
      held.delete(path);
      await until;
    }
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(range === null ? 200 : 206, {
      etag: '"1"',
      'accept-ranges': 'bytes',
      'content-length': content.length - from,
      ...(range === null ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    if (request.method !== 'GET') {
      response.end();
      return;
    }
    const body = content.subarray(from);
    const cut = drops.get(path)?.shift();
    if (cut === undefined) await send(body, response);
    else response.write(body.subarray(0, cut), () => response.destroy());
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  async function close(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  const put = (path: string, content: Buffer | string): void => void files.set(path, Buffer.from(content));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    put,
    putImage(path, image, served = image, servedPath = path) {
      put(servedPath, served);
      put(`${path}.hash`, createHash('sha1').update(image).digest('hex'));
      put(`${path}.metadata`, JSON.stringify({ distro: 'el7' }));
    },
    setRate(bytesPerSecond) {
      rate = bytesPerSecond;
    },
    drop: (path, after) => void drops.set(path, [...after]),
    hold: (path, until) => void held.set(path, until),
    close,
    [Symbol.asyncDispose]: close,
  };
}
