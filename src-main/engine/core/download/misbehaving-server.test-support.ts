import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How the server handles one request for a file. */
export interface Behaviour {
  /** Answers this status without a body. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Hangs up after this many bytes of the body. */
  readonly dropAfter?: number;
  /** Sends this many bytes, then nothing more, and keeps the connection open. */
  readonly stallAfter?: number;
  /** Announces this length whatever it sends. */
  readonly announce?: number;
  /** Called before responding; the response is sent when the given function is called. */
  readonly hold?: (answer: () => void) => void;
  /** Sends the whole file although a range was requested. */
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
  /** Serves a file; each GET uses up one of `behaviours`, after which the server behaves well. */
  put(path: string, content: Buffer | string, behaviours?: readonly Behaviour[]): void;
}

/** A web server on loopback for download tests: correct ranges and ETags, and failures on demand. */
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
