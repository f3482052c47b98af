import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a file's server does with one request. */
export interface Behaviour {
  /** Answers this status without a body. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Hangs up after so many bytes of the body. */
  readonly dropAfter?: number;
  /** Sends so many bytes, then nothing more, and keeps the connection. */
  readonly stallAfter?: number;
  /** Announces this length whatever it sends. */
  readonly announce?: number;
  /** Called in place of an answer, which is given when the function that it gets is called. */
  readonly hold?: (answer: () => void) => void;
  /** Sends the whole file although a part was asked. */
  readonly noRanges?: boolean;
  /** Sends this in place of the file. */
  readonly content?: Buffer;
  readonly etag?: string;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface MisbehavingServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  /** A file; `behaviours` are used up one by one by its GET requests, after them it behaves well. */
  put(path: string, content: Buffer | string, behaviours?: readonly Behaviour[]): void;
}

/** A web server on loopback for tests of downloads: ranges and ETags as they should be, and failures on demand. */
export async function startMisbehavingServer(): Promise<MisbehavingServer> {
  const files = new Map<string, { content: Buffer; behaviours: Behaviour[] }>();
  const requests: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    requests.push({ method: request.method ?? '', path, headers: request.headers });
    const file = files.get(path);
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    const behaviour = request.method === 'GET' ? (file.behaviours.shift() ?? {}) : {};
    const reply = (): void => answer(file.content, behaviour, request.headers, response);
    if (behaviour.hold === undefined) reply();
    else behaviour.hold(reply);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    put: (path, content, behaviours = []) => files.set(path, { content: Buffer.from(content), behaviours: [...behaviours] }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(original: Buffer, behaviour: Behaviour, headers: IncomingHttpHeaders, response: ServerResponse): void {
  if (behaviour.status !== undefined) {
    response.writeHead(behaviour.status, behaviour.headers).end();
    return;
  }
  const whole = behaviour.content ?? original;
  const etag = behaviour.etag ?? '"v1"';
  const asked = /^bytes=(\d+)-$/.exec(headers.range ?? '');
  const same = headers['if-range'] === undefined || headers['if-range'] === etag;
  const from = asked !== null && same && behaviour.noRanges !== true ? Number(asked[1]) : 0;
  if (from >= whole.length && from > 0) {
    response.writeHead(416, { 'content-range': `bytes */${whole.length}` }).end();
    return;
  }
  const body = whole.subarray(from);
  const length = String(behaviour.announce ?? body.length);
  const range = from > 0 ? { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {};
  response.writeHead(from > 0 ? 206 : 200, { etag, 'content-length': length, ...range, ...behaviour.headers });
  const cut = behaviour.dropAfter ?? behaviour.stallAfter;
  if (cut === undefined) {
    response.write(body, () =>
      behaviour.announce === undefined || behaviour.announce <= body.length ? response.end() : response.destroy(),
    );
    return;
  }
  response.write(body.subarray(0, cut), () => {
    if (behaviour.dropAfter !== undefined) response.destroy();
  });
}
