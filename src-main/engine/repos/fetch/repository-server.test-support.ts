import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { drop, silentLog } from '../../core/log.ts';

/** What goes wrong with one answer. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number }
  /** Hangs up without an answer. */
  | { readonly kind: 'vanish' }
  /** Hangs up after this share of the body. */
  | { readonly kind: 'truncate'; readonly share: number }
  /** Sends other bytes of the same length. */
  | { readonly kind: 'lie' }
  /** Sends more than there is, and says so. */
  | { readonly kind: 'longer' }
  /** Ends early and says that this is all. */
  | { readonly kind: 'shorter'; readonly share: number }
  /** Sends no more after this share of the body; hangs up after this time, else keeps the connection. */
  | { readonly kind: 'stall'; readonly share: number; readonly ms?: number }
  /** Sends another file, as if it were this one; undefined: there is none. */
  | { readonly kind: 'instead'; readonly content: Buffer | undefined };

export interface RepositoryServer extends AsyncDisposable {
  readonly url: string;
  /** Paths of all requests so far, in their order. */
  readonly requests: string[];
  /** How many connections were opened. */
  readonly connections: () => number;
  /** Replaces all files. */
  serve(files: ReadonlyMap<string, Buffer>): void;
  /** Decides what goes wrong with an answer, undefined: nothing. */
  fail(choose: ((path: string) => Fault | undefined) | undefined): void;
  /** Called with each request before it is answered; the answer waits for it. */
  watch(seen: ((request: IncomingMessage) => unknown) | undefined): void;
}

/** A server on loopback for the files of a repository, with ranges, ETags and conditional requests. */
export async function startRepositoryServer(files: ReadonlyMap<string, Buffer> = new Map()): Promise<RepositoryServer> {
  let served = files;
  let choose: ((path: string) => Fault | undefined) | undefined;
  let watch: ((request: IncomingMessage) => unknown) | undefined;
  let connections = 0;
  const requests: string[] = [];
  const server = createServer({ keepAlive: true }, (request, response) => {
    const path = decodeURIComponent((request.url ?? '').slice(1));
    requests.push(path);
    const reply = async (seen: unknown): Promise<void> => {
      if (seen instanceof Promise) await seen;
      const content = served.get(path);
      if (content === undefined) response.writeHead(404, { 'content-length': 0 }).end();
      else answer(content, request, response, choose?.(path));
    };
    drop(reply(watch?.(request)), silentLog, 'Answering');
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    connections: () => connections,
    serve: (next) => {
      served = next;
    },
    fail: (next) => {
      choose = next;
    },
    watch: (next) => {
      watch = next;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(right: Buffer, { headers, socket }: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
  const content = fault?.kind === 'instead' ? fault.content : right;
  if (content === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return;
  }
  const etag = `"${createHash('md5').update(content).digest('hex')}"`;
  if (fault?.kind === 'status') {
    response.writeHead(fault.status, { 'content-length': 0 }).end();
    return;
  }
  if (fault?.kind === 'vanish') {
    socket.destroy();
    return;
  }
  if (headers['if-none-match'] === etag) {
    response.writeHead(304).end();
    return;
  }
  const asked = /^bytes=(\d+)-$/.exec(headers.range ?? '');
  const from = asked === null ? 0 : Number(asked[1]);
  if (from > 0 && from >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}`, 'content-length': 0 }).end();
    return;
  }
  const body = spoiled(content.subarray(from), fault);
  const cut = fault?.kind === 'truncate' || fault?.kind === 'stall' ? Math.floor(body.length * fault.share) : undefined;
  response.writeHead(from > 0 ? 206 : 200, {
    etag,
    'content-length': body.length,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
  });
  if (cut === undefined) {
    response.end(body);
    return;
  }
  const hangUp = (): void => void socket.destroy();
  response.flushHeaders();
  if (fault?.kind === 'stall' && fault.ms !== undefined) setTimeout(hangUp, fault.ms).unref();
  response.write(body.subarray(0, cut), fault?.kind === 'stall' ? undefined : hangUp);
}

function spoiled(body: Buffer, fault: Fault | undefined): Buffer {
  switch (fault?.kind) {
    case 'lie':
      return Buffer.from(body.map((byte) => byte ^ 0x55));
    case 'longer':
      return Buffer.concat([body, Buffer.from('more')]);
    case 'shorter':
      return body.subarray(0, Math.floor(body.length * fault.share));
    default:
      return body;
  }
}

/** Random numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

/** Any fault. */
export function randomFault(random: () => number): Fault {
  const kinds: readonly Fault[] = [
    { kind: 'status', status: 503 },
    { kind: 'status', status: 500 },
    { kind: 'vanish' },
    { kind: 'truncate', share: random() },
    { kind: 'lie' },
    { kind: 'longer' },
    { kind: 'shorter', share: random() },
  ];
  return kinds[Math.floor(random() * kinds.length)] ?? { kind: 'vanish' };
}
