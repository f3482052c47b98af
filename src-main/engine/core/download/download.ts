import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as tlsConnect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Log } from '../log.ts';
import type { PauseGate } from '../pause.ts';
import { sleep } from '../until.ts';
import { type Marks, openPart, type Part } from './download-part.ts';
import { addressOf, openTunnel, proxyAuthorization, proxyFor } from './proxy.ts';
import { shownUrl } from './shown-url.ts';

export interface DownloadProgress {
  /** Bytes received so far. */
  readonly received: number;
  /** Total bytes, null when the server does not say. */
  readonly total: number | null;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly log?: Log | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Consecutive attempts without a byte before giving up (default 5). */
  readonly attempts?: number;
  /** Pause before the second attempt, doubled each time up to 30 s (default 500). */
  readonly backOffMs?: number;
  /** A connection that is silent for this long counts as dropped (default 30 s). */
  readonly idleMs?: number;
  /** Where proxies are looked up (default: the process's environment). */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** While paused, the connection is closed; resuming continues at the same offset. */
  readonly gate?: PauseGate | undefined;
  /**
   * Where received bytes are kept (their origin in `PATH.json`), so that a later process can resume. The caller ensures that only one
   * process uses it at a time. It survives an interrupted download until `forget`. Only for http and https.
   */
  readonly keep?: string | undefined;
  /** The caller verifies a checksum at the end; otherwise only a file with a mark (ETag, Last-Modified) is resumed. */
  readonly checked?: boolean;
}

/** A download that has begun: its size is known, its bytes arrive as they are read. */
export interface Download {
  /** The final URL, after redirects. */
  readonly url: string;
  readonly total: number | null;
  /** The whole content once, in order, across reconnects. Ends early only by throwing. */
  readonly content: AsyncIterable<Buffer>;
  /** How many of its bytes an earlier process had fetched. */
  readonly kept: number;
  /** Deletes the kept bytes and keeps no more: the download is done, wrong, or has no room. */
  forget(): Promise<void>;
}

const REDIRECTS = 5;
/** Possibly temporary: too slow, too many requests, overloaded, restarting. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Opens `http:`, `https:` or `file:`. A dropped or silent connection is resumed where it broke (Range with If-Range), so that the reader
 * notices only a pause. Proxies come from http_proxy, https_proxy, no_proxy. Rejects, as does reading `content`, with `remote.unreachable`
 * (no answer after all attempts, or an unreadable local file), `remote.invalid` (the server refuses, changes the file during the download,
 * or misreports its length), `cancelled`. `undefined` when the server has no such file (404, 410) or a local file does not exist.
 */
export async function openDownload(url: string, options: DownloadOptions = {}): Promise<Download | undefined> {
  const target = parseUrl(url);
  return target.protocol === 'file:' ? await openFile(target, options) : await openHttp(target, options);
}

/** A small text, or `undefined` when the file does not exist. `remote.invalid` when it is larger than `maxBytes`. */
export async function downloadText(
  url: string,
  options: DownloadOptions & { readonly maxBytes?: number } = {},
): Promise<string | undefined> {
  const limit = options.maxBytes ?? 4 * 1024 * 1024;
  const download = await openDownload(url, options);
  if (download === undefined) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of download.content) {
    size += chunk.length;
    if (size > limit) throw new EngineError('remote.invalid', `${url} is larger than the ${limit} bytes that it may have.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The size of a remote file without fetching it: null when the server does not say, `undefined` when there is no such file. */
export async function remoteSize(url: string, options: DownloadOptions = {}): Promise<number | null | undefined> {
  const target = parseUrl(url);
  if (target.protocol === 'file:') return (await statFile(target))?.size;
  const response = await withAttempts(target, options, async () => await send(target, 'HEAD', {}, options));
  response.message.resume();
  if (isMissing(response.message.statusCode ?? 0)) return undefined;
  checkStatus(response);
  return lengthOf(response.message.headers);
}

function parseUrl(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (error) {
    throw new EngineError('input.invalid', `"${url}" is not a URL.`, { cause: error });
  }
  if (!['http:', 'https:', 'file:'].includes(parsed.protocol)) {
    throw new EngineError('input.invalid', `${url} cannot be downloaded: only http, https and file URLs can.`);
  }
  return parsed;
}

async function statFile(target: URL): Promise<{ size: number; path: string } | undefined> {
  const path = fileURLToPath(target);
  try {
    const found = await stat(path);
    if (found.isFile()) return { size: found.size, path };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new EngineError('remote.unreachable', `${path} cannot be read (${code ?? 'unknown error'}).`, { cause: error });
  }
  throw new EngineError('remote.invalid', `${path} is not a file.`);
}

async function openFile(target: URL, options: DownloadOptions): Promise<Download | undefined> {
  const found = await statFile(target);
  if (found === undefined) return undefined;
  const { path, size } = found;
  async function* content(): AsyncIterable<Buffer> {
    const meter = new Meter(size, options);
    const stream = createReadStream(path, {
      highWaterMark: 1024 * 1024,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    try {
      for await (const chunk of stream) {
        await options.gate?.passed(options.signal);
        meter.add((chunk as Buffer).length);
        yield chunk as Buffer;
      }
    } catch (error) {
      if (options.signal?.aborted === true) throw cancelled(target, error);
      throw new EngineError('remote.unreachable', `${path} could not be read to its end.`, { cause: error });
    }
    if (meter.received !== size) throw new EngineError('remote.invalid', `${path} changed its size while it was read.`);
  }
  return { url: target.href, total: size, content: content(), kept: 0, forget: async () => await Promise.resolve() };
}

/** A remote file, across all connections used to fetch it. */
interface Remote {
  /** As requested: the target of a redirect may be signed for a short time, so each attempt starts here. */
  readonly target: URL;
  readonly etag: string | undefined;
  readonly modified: string | undefined;
  readonly total: number | null;
}

async function openHttp(target: URL, options: DownloadOptions): Promise<Download | undefined> {
  const part = options.keep === undefined ? undefined : await openPart(options.keep, shownUrl(target));
  try {
    const begun = await begin(target, part, options);
    if (begun === undefined) {
      await (part?.foreign === true ? part.close() : part?.remove());
      return undefined;
    }
    const { remote, first, offset } = begun;
    const keeper: Keeper = { part };
    return {
      url: shownUrl(first.url),
      total: remote.total,
      kept: offset,
      content: resuming(remote, first, offset, keeper, options),
      forget: async () => {
        await keeper.part?.remove();
        keeper.part = undefined;
      },
    };
  } catch (error) {
    await (part?.size === 0 && !part.foreign ? part.remove() : part?.close());
    throw error;
  }
}

interface Keeper {
  part: Part | undefined;
}

/** The first response: the rest after the kept bytes if the file is unchanged, else the whole file. */
async function begin(
  target: URL,
  part: Part | undefined,
  options: DownloadOptions,
): Promise<{ readonly remote: Remote; readonly first: Response; readonly offset: number } | undefined> {
  // The last kept byte is requested again, so that the range is never empty.
  const sure = options.checked === true || (part?.marks !== undefined && 'if-range' in rangeOf(0, part.marks));
  const offset = part?.marks === undefined || part.size === 0 || !sure ? 0 : part.size - 1;
  const headers = part?.marks === undefined || offset === 0 ? {} : rangeOf(offset, part.marks);
  const first = await withAttempts(target, options, async () => await send(target, 'GET', headers, options));
  const { statusCode = 0, headers: answer } = first.message;
  if (isMissing(statusCode)) {
    first.message.resume();
    return undefined;
  }
  if (part?.marks !== undefined && offset > 0) {
    const { etag, modified, total } = part.marks;
    if (
      statusCode === 206 &&
      answersRange(answer, offset, total) &&
      (etag === undefined || answer.etag === undefined || answer.etag === etag)
    ) {
      part.resume(offset);
      return { remote: { target, etag, modified, total }, first, offset };
    }
    if (statusCode === 206 || statusCode === 416) {
      first.message.destroy();
      await part.restart({ url: shownUrl(target), total: null });
      return await begin(target, { ...part, marks: undefined, size: 0 }, options);
    }
  }
  checkStatus(first);
  const total = lengthOf(answer);
  const remote: Remote = { target, etag: answer.etag, modified: answer['last-modified'], total };
  await part?.restart({
    url: shownUrl(target),
    total,
    ...(remote.etag === undefined ? {} : { etag: remote.etag }),
    ...(remote.modified === undefined ? {} : { modified: remote.modified }),
  });
  return { remote, first, offset: 0 };
}

/** Headers that request the rest of a file, provided it is unchanged. */
function rangeOf(offset: number, { etag, modified }: Pick<Marks, 'etag' | 'modified'>): Record<string, string> {
  const mark = etag !== undefined && !etag.startsWith('W/') ? etag : modified;
  return { range: `bytes=${offset}-`, ...(mark === undefined ? {} : { 'if-range': mark }) };
}

function answersRange(headers: IncomingHttpHeaders, offset: number, total: number | null): boolean {
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
  return range !== null && Number(range[1]) === offset && (total === null || range[2] === '*' || Number(range[2]) === total);
}

/** Yields the kept bytes, then the first response and, whenever it breaks, the rest from a new one. */
async function* resuming(remote: Remote, first: Response, offset: number, keeper: Keeper, options: DownloadOptions): AsyncIterable<Buffer> {
  const { target, total } = remote;
  const meter = new Meter(total, options);
  const limit = options.attempts ?? 5;
  let response: Response | undefined = first;
  let skip = 0;
  let failures = 0;
  try {
    if (keeper.part !== undefined && offset > 0) {
      for await (const chunk of keeper.part.read(offset)) {
        if (options.signal?.aborted === true) throw cancelled(target, options.signal.reason);
        meter.add(chunk.length);
        yield chunk;
      }
    }
    for (;;) {
      let broken: unknown;
      let rested = false;
      try {
        await options.gate?.passed(options.signal);
        if (response === undefined) {
          const next = await resume(remote, meter.received, options);
          skip = next.skip;
          response = next.response;
        }
        for await (const chunk of response.message as AsyncIterable<Buffer>) {
          const rest = skip >= chunk.length ? undefined : chunk.subarray(skip);
          skip = Math.max(0, skip - chunk.length);
          if (rest === undefined) continue;
          failures = 0;
          await keeper.part?.append(rest);
          meter.add(rest.length);
          yield rest;
          if (options.gate?.paused !== true || meter.received === total) continue;
          rested = true;
          break;
        }
        if (rested) {
          meter.rest();
          response.message.destroy();
          response = undefined;
          continue;
        }
        if (total === null || meter.received === total) return;
        broken = new Error(`the connection ended at byte ${meter.received} of ${total}`);
      } catch (error) {
        if (options.signal?.aborted === true) throw cancelled(target, error);
        if (error instanceof EngineError && error.code !== 'remote.unreachable') throw error;
        broken = error;
      }
      response?.message.destroy();
      response = undefined;
      if (total !== null && meter.received === total) return;
      failures += 1;
      if (failures >= limit) throw unreachable(target, broken, failures);
      options.log?.debug(`${shownUrl(target)}: ${(broken as Error).message}; going on at byte ${meter.received}`);
      await sleep(backOff(failures, options), options.signal);
    }
  } finally {
    response?.message.destroy();
    await (meter.received === 0 && offset === 0 ? keeper.part?.remove() : keeper.part?.close());
  }
}

/** Requests the rest from `offset`. If the server sends the whole file, skips to `offset`, provided the file is unchanged. */
async function resume(remote: Remote, offset: number, options: DownloadOptions): Promise<{ response: Response; skip: number }> {
  const { target, etag, modified, total } = remote;
  const response = await send(target, 'GET', rangeOf(offset, remote), options);
  const { statusCode: status = 0, headers } = response.message;
  const changed = (): EngineError => {
    response.message.destroy();
    return new EngineError('remote.invalid', `${shownUrl(target)} changed while it was downloaded.`, { hint: 'Try again.' });
  };
  if (status === 206) {
    if (!answersRange(headers, offset, total)) throw changed();
    return { response, skip: 0 };
  }
  if (status === 200) {
    if (headers.etag !== etag || headers['last-modified'] !== modified) throw changed();
    if (lengthOf(headers) !== total) throw changed();
    return { response, skip: offset };
  }
  response.message.destroy();
  if (status === 416) {
    throw new EngineError('remote.invalid', `${shownUrl(target)} ends at byte ${offset}, but its server announced ${total ?? 'more'}.`);
  }
  if (PASSING.has(status)) throw new EngineError('remote.unreachable', `${shownUrl(target)} answers with status ${status}.`);
  throw refused(target, status);
}

interface Response {
  readonly url: URL;
  readonly message: IncomingMessage;
}

/** Retries failures that may be temporary. */
async function withAttempts(target: URL, options: DownloadOptions, attempt: () => Promise<Response>): Promise<Response> {
  const limit = options.attempts ?? 5;
  for (let failures = 1; ; failures++) {
    let broken: unknown;
    try {
      const response = await attempt();
      const status = response.message.statusCode ?? 0;
      if (!PASSING.has(status)) return response;
      response.message.destroy();
      broken = new Error(`status ${status}`);
    } catch (error) {
      if (options.signal?.aborted === true) throw cancelled(target, error);
      if (error instanceof EngineError) throw error;
      broken = error;
    }
    if (failures >= limit) throw unreachable(target, broken, failures);
    options.log?.debug(`${shownUrl(target)}: ${(broken as Error).message}; trying again`);
    await sleep(backOff(failures, options), options.signal);
  }
}

function backOff(failures: number, options: DownloadOptions): number {
  return Math.min(30_000, (options.backOffMs ?? 500) * 2 ** (failures - 1));
}

/** One request, following redirects. */
async function send(target: URL, method: 'GET' | 'HEAD', headers: Record<string, string>, options: DownloadOptions): Promise<Response> {
  let url = target;
  for (let hops = 0; ; hops++) {
    const message = await once(url, method, headers, options);
    const { location } = message.headers;
    const status = message.statusCode ?? 0;
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return { url, message };
    message.resume();
    const next = new URL(location, url);
    if (hops === REDIRECTS) throw new EngineError('remote.invalid', `${shownUrl(target)} redirects more than ${REDIRECTS} times.`);
    if (!['http:', 'https:'].includes(next.protocol) || (url.protocol === 'https:' && next.protocol === 'http:')) {
      throw new EngineError('remote.invalid', `${shownUrl(target)} redirects to ${shownUrl(next)}, which is less secure.`);
    }
    url = next;
  }
}

async function once(url: URL, method: string, headers: Record<string, string>, options: DownloadOptions): Promise<IncomingMessage> {
  const env = options.env ?? process.env;
  const proxy = proxyFor(url, env);
  const common: RequestOptions = {
    method,
    // A body compressed on the way has no ranges and a different length.
    headers: { 'accept-encoding': 'identity', 'user-agent': 'lago', ...headers },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  let outgoing: ClientRequest;
  if (proxy === undefined) {
    outgoing = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, { ...common, agent: false });
  } else if (url.protocol === 'http:') {
    outgoing = httpRequest({
      ...common,
      ...addressOf(proxy),
      path: shownUrl(url),
      ...(url.username === '' ? {} : { auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` }),
      headers: { ...(common.headers as Record<string, string>), host: url.host, ...proxyAuthorization(proxy) },
      agent: false,
    });
  } else {
    const socket = await openTunnel(proxy, url, options);
    // No agent: any agent, even that of `agent: false`, opens its own connections and ignores createConnection.
    outgoing = httpsRequest(url, { ...common, createConnection: () => tlsConnect({ socket, servername: url.hostname }) });
  }
  const idle = options.idleMs ?? 30_000;
  outgoing.setTimeout(idle, () => outgoing.destroy(new Error(`no data for ${idle / 1000} s`)));
  return await new Promise((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
    outgoing.end();
  });
}

function lengthOf(headers: IncomingHttpHeaders): number | null {
  const length = headers['content-length'];
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : null;
}

function isMissing(status: number): boolean {
  return status === 404 || status === 410;
}

function checkStatus(response: Response): void {
  const status = response.message.statusCode ?? 0;
  if (status >= 200 && status < 300) return;
  response.message.destroy();
  throw refused(response.url, status);
}

function refused(url: URL, status: number): EngineError {
  const hint = status === 401 || status === 403 ? 'The server wants a login or does not allow it.' : 'Check the URL.';
  return new EngineError('remote.invalid', `${shownUrl(url)} cannot be downloaded: its server answers with status ${status}.`, {
    details: { url: shownUrl(url), status },
    hint,
  });
}

function unreachable(url: URL, cause: unknown, attempts: number): EngineError {
  const reason =
    cause instanceof Error ? (cause.message === '' ? ((cause as NodeJS.ErrnoException).code ?? cause.name) : cause.message) : String(cause);
  return new EngineError('remote.unreachable', `${shownUrl(url)} cannot be downloaded: ${reason}.`, {
    cause,
    details: { url: shownUrl(url), attempts },
    hint: 'Check the network connection and the proxy settings, then try again.',
  });
}

function cancelled(url: URL, cause: unknown): EngineError {
  return new EngineError('cancelled', `The download of ${shownUrl(url)} was cancelled.`, { cause });
}

/** Counts bytes and reports the rate over the last five seconds, at most ten times a second. */
class Meter {
  received = 0;
  readonly #total: number | null;
  readonly #onProgress: ((progress: DownloadProgress) => void) | undefined;
  #marks: { readonly at: number; readonly received: number }[] = [{ at: Date.now(), received: 0 }];
  #told = 0;

  constructor(total: number | null, options: DownloadOptions) {
    this.#total = total;
    this.#onProgress = options.onProgress;
  }

  /** Paused time does not count towards the rate. */
  rest(): void {
    this.#marks = [];
  }

  add(bytes: number): void {
    const now = Date.now();
    if (this.#marks.length === 0) this.#marks.push({ at: now, received: this.received });
    this.received += bytes;
    if (this.#onProgress === undefined || (now - this.#told < 100 && this.received !== this.#total)) return;
    this.#told = now;
    this.#marks.push({ at: now, received: this.received });
    while (this.#marks.length > 2 && now - (this.#marks[0]?.at ?? now) > 5000) this.#marks.shift();
    const oldest = this.#marks[0] ?? { at: now, received: 0 };
    const bytesPerSecond = now === oldest.at ? 0 : Math.round(((this.received - oldest.received) * 1000) / (now - oldest.at));
    const left = this.#total === null || bytesPerSecond === 0 ? null : Math.ceil((this.#total - this.received) / bytesPerSecond);
    this.#onProgress({ received: this.received, total: this.#total, bytesPerSecond, secondsLeft: left });
  }
}

/** Progress for people: "142 MiB of 300 MiB, 28 MiB/s, 6 s left". */
export function describeProgress(progress: DownloadProgress): string {
  const parts = [
    progress.total === null ? formatBytes(progress.received) : `${formatBytes(progress.received)} of ${formatBytes(progress.total)}`,
  ];
  if (progress.bytesPerSecond > 0) parts.push(`${formatBytes(progress.bytesPerSecond)}/s`);
  if (progress.secondsLeft !== null && progress.secondsLeft > 0) parts.push(`${formatSpan(progress.secondsLeft)} left`);
  return parts.join(', ');
}

function formatSpan(seconds: number): string {
  if (seconds < 100) return `${seconds} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} m` : `${Math.round(seconds / 3600)} h`;
}
