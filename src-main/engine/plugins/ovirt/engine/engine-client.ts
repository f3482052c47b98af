import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as startTls } from 'node:tls';
import { EngineError } from '../../../../../src-shared/errors.ts';

/** Generation of the REST API: engines up to 3.6 know only the old one. */
export type ApiVersion = 3 | 4;

/** How an engine is reached. */
export interface EngineAddress {
  /** Name of the engine's VM, for messages. */
  readonly vm: string;
  /** The name that it is asked under. Default: that of the VM. */
  readonly host?: string | undefined;
  readonly user: string;
  readonly password: string;
  /** Certificate of the engine's own authority, PEM: nobody else's signature is accepted. */
  readonly authority: string;
  /** A new stream to port 443 of the VM. */
  open(signal: AbortSignal): Promise<Duplex>;
}

/** A host, VM, cluster or storage domain, as far as it matters here. */
export interface EngineItem {
  readonly id: string;
  readonly name: string;
  /** Lower case, the same in both generations. */
  readonly status: string;
  /** All that the engine says of it, in the form of its generation. */
  readonly said: unknown;
}

export type Json = Readonly<Record<string, unknown>>;

/** Old names of collections. */
const OLD_NAMES: Readonly<Record<string, string>> = { data_centers: 'datacenters', storage_domains: 'storagedomains' };
/** Where the API is; the second in the oldest engines. */
const BASES = ['/ovirt-engine/api', '/api'] as const;
const REQUEST_MS = 60_000;
const MAX_ANSWER = 32 * 1024 * 1024;

type Method = 'GET' | 'POST' | 'PUT';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ConnectOptions {
  readonly signal: AbortSignal;
  /** Default 3 minutes, and a look every 3 s. */
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** For each request. Default 1 minute. */
  readonly requestMs?: number;
}

/** The REST API of an engine. One session is kept; requests go one after the other over one connection while the engine keeps it. */
export class EngineClient implements Disposable {
  readonly version: ApiVersion;
  /** What the API says of itself: product and counts. */
  readonly about: Json;
  readonly #session: Session;

  private constructor(session: Session, version: ApiVersion, about: Json) {
    this.#session = session;
    this.version = version;
    this.about = about;
  }

  /**
   * Waits until the engine answers. `remote.unreachable` when it does not in time; at once `guest.refused` for a wrong password and
   * `remote.invalid` for a certificate that its authority did not sign.
   */
  static async connect(address: EngineAddress, options: ConnectOptions): Promise<EngineClient> {
    const { signal, timeoutMs = 180_000, everyMs = 3000 } = options;
    const session = new Session(address, signal, options.requestMs ?? REQUEST_MS);
    const end = Date.now() + timeoutMs;
    let last = '';
    try {
      for (;;) {
        const found = await look(session);
        if (typeof found !== 'string') return new EngineClient(session, found.version, found.about);
        last = found;
        if (Date.now() + everyMs > end) break;
        await pause(everyMs, signal);
      }
      throw new EngineError('remote.unreachable', `Failed to connect to the engine on VM ${address.vm}: ${last}`, {
        hint: 'See whether the service ovirt-engine runs in it, and whether it was set up: lago ovirt engine-setup.',
      });
    } catch (error) {
      session[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
  }

  /** The items of a collection, by its name in the new generation (`hosts`, `data_centers/ID/storage_domains`). */
  async list(collection: string, search?: string): Promise<readonly EngineItem[]> {
    const query = search === undefined ? '' : `?search=${encodeURIComponent(search)}`;
    const answer = await this.#call('GET', `/${this.#path(collection)}${query}`);
    const items = Object.values(answer).find(Array.isArray) ?? [];
    return (items as readonly unknown[]).map((item) => itemOf(item));
  }

  /** One item of a collection. */
  async get(collection: string, id: string): Promise<EngineItem> {
    return itemOf(await this.#call('GET', `/${this.#path(collection)}/${encodeURIComponent(id)}`));
  }

  /** Asks for an action on an item (`activate`, `start`); it is only begun when this resolves. */
  async act(collection: string, id: string, action: string): Promise<void> {
    await this.#call('POST', `/${this.#path(collection)}/${encodeURIComponent(id)}/${action}`, {});
  }

  /** Changes an item: what `change` has, in the form of the engine's generation. */
  async change(collection: string, id: string, change: Json): Promise<void> {
    await this.#call('PUT', `/${this.#path(collection)}/${encodeURIComponent(id)}`, change);
  }

  #path(collection: string): string {
    const parts = collection.split('/');
    return (this.version === 4 ? parts : parts.map((part) => OLD_NAMES[part] ?? part)).join('/');
  }

  async #call(method: Method, path: string, body?: Json): Promise<Json> {
    const answer = await this.#session.ask(method, `${this.#session.base}${path}`, body);
    if (answer.status < 200 || answer.status > 299) throw refusal(`${method} ${path}`, answer);
    return parse(answer);
  }
}

/** What the root of the API says, or why it says nothing yet. */
async function look(session: Session): Promise<{ readonly version: ApiVersion; readonly about: Json } | string> {
  let problem = '';
  for (const base of BASES) {
    let answer: Answer;
    try {
      answer = await session.ask('GET', base);
    } catch (error) {
      if (!(error instanceof EngineError) || !['guest.unreachable', 'remote.unreachable'].includes(error.code)) throw error;
      return error.message;
    }
    if (answer.status === 200) {
      session.base = base;
      const about = parse(answer);
      const major = textAt(about, 'product_info', 'version', 'major');
      return { version: major === '3' ? 3 : 4, about };
    }
    if (answer.status === 401) throw refusal('the login', answer);
    problem = `it answers ${answer.status}.`;
    if (answer.status !== 404) break;
  }
  return problem;
}

/** One user's session: the engine is asked for it by `Prefer: persistent-auth`, and keeps it under a cookie. */
class Session implements Disposable {
  base: string = BASES[0];
  readonly #address: EngineAddress;
  readonly #signal: AbortSignal;
  readonly #requestMs: number;
  readonly #agent: Agent;
  /** The agent uses it for one request after the other, and asks for another one when it has ended. */
  #stream: Duplex | undefined;
  #cookie: string | undefined;

  constructor(address: EngineAddress, signal: AbortSignal, requestMs: number) {
    this.#address = address;
    this.#signal = signal;
    this.#requestMs = requestMs;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#agent.createConnection = () => this.#stream as Duplex;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
    this.#stream?.destroy();
  }

  async #open(signal: AbortSignal): Promise<Duplex> {
    const { authority, open, vm } = this.#address;
    const stream = await open(signal);
    return await new Promise<Duplex>((resolve, reject) => {
      const secure = startTls({
        socket: stream,
        ca: authority,
        // The stream leads to this VM and nowhere else. By which name the engine calls itself does not matter; who signed it does.
        checkServerIdentity: () => undefined,
      });
      const onAbort = (): void => void secure.destroy(new Error('it did not begin to talk in time'));
      signal.addEventListener('abort', onAbort, { once: true });
      secure.once('secureConnect', () => {
        signal.removeEventListener('abort', onAbort);
        resolve(secure);
      });
      secure.once('error', (error: NodeJS.ErrnoException) => {
        signal.removeEventListener('abort', onAbort);
        stream.destroy();
        reject(tlsError(vm, error));
      });
    });
  }

  async ask(method: Method, path: string, body?: Json): Promise<Answer> {
    const { user, password, vm, host = vm } = this.#address;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      Host: host,
      Accept: 'application/json',
      Prefer: 'persistent-auth',
      Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      ...(this.#cookie === undefined ? {} : { Cookie: this.#cookie }),
      ...(text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }),
    };
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#requestMs)]);
    const answer = await this.#send({ method, path, headers, signal }, text);
    const cookie = answer.headers['set-cookie']?.find((one) => one.startsWith('JSESSIONID='));
    if (cookie !== undefined) this.#cookie = cookie.split(';')[0];
    return answer;
  }

  async #send(request: RequestOptions & { readonly signal: AbortSignal }, text: string | undefined): Promise<Answer> {
    try {
      if (this.#stream?.writable !== true) this.#stream = await this.#open(request.signal);
      return await new Promise<Answer>((resolve, reject) => {
        const asked = httpRequest({ agent: this.#agent, protocol: 'https:', ...request }, (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.on('data', (chunk: Buffer) => {
            size += chunk.length;
            if (size > MAX_ANSWER) response.destroy(new Error('its answer is too long'));
            else chunks.push(chunk);
          });
          response.on('error', reject);
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString('utf8') });
          });
        });
        asked.on('error', reject);
        asked.end(text);
      });
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): EngineError {
    if (error instanceof EngineError && error.code !== 'cancelled') return error;
    if (this.#signal.aborted) return new EngineError('cancelled', 'Cancelled while the engine was asked.', { cause: error });
    const message = error instanceof Error ? error.message : String(error);
    return new EngineError('remote.unreachable', `The engine on VM ${this.#address.vm} does not answer: ${message}.`, { cause: error });
  }
}

/** OpenSSL's names for a certificate that is not what it should be. */
const UNTRUSTED = /CERT|SELF_SIGNED|ISSUER|SIGNATURE/;

function tlsError(vm: string, error: NodeJS.ErrnoException): EngineError {
  if (!UNTRUSTED.test(error.code ?? '')) {
    return new EngineError('remote.unreachable', `The engine on VM ${vm} does not answer: ${error.message}.`, { cause: error });
  }
  return new EngineError(
    'remote.invalid',
    `The certificate of the engine on VM ${vm} is not signed by its own authority: ${error.message}.`,
    {
      cause: error,
      hint: 'Somebody else may answer on port 443 of the VM, or its certificates were replaced by hand.',
    },
  );
}

function refusal(what: string, { status, body }: Answer): EngineError {
  if (status === 401) {
    return new EngineError('guest.refused', 'The engine refuses the password of its user.', {
      hint: 'Write the right one as ovirt-engine-password into the metadata of its VM.',
    });
  }
  let reason = '';
  try {
    const said = JSON.parse(body) as Json;
    reason = textAt(said, 'detail') ?? textAt(said, 'fault', 'detail') ?? textAt(said, 'reason') ?? '';
  } catch {
    // It is a page for people; the status says enough.
  }
  return new EngineError('guest.failed', `The engine refuses ${what} (${status})${reason === '' ? '' : `: ${reason}`}`, {
    details: { status },
  });
}

function parse({ body }: Answer): Json {
  try {
    const value: unknown = JSON.parse(body === '' ? '{}' : body);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // Said below.
  }
  throw new EngineError('remote.invalid', `The engine's answer is not the JSON that is expected: ${body.slice(0, 100)}`);
}

/** The value at a path of keys. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const key of path) found = typeof found === 'object' && found !== null ? (found as Json)[key] : undefined;
  return found;
}

/** The text or number at a path of keys, as text. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined;
}

function itemOf(value: unknown): EngineItem {
  const id = at(value, 'id');
  if (typeof id !== 'string') throw new EngineError('remote.invalid', 'The engine tells of something that has no id.');
  const status = at(value, 'status');
  // The old generation wraps it.
  const word = typeof status === 'string' ? status : at(status, 'state');
  return { id, name: textAt(value, 'name') ?? id, status: typeof word === 'string' ? word.toLowerCase() : '', said: value };
}

/** Waits; rejects with `cancelled` on abort. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    throw new EngineError('cancelled', 'Cancelled.', { cause: error });
  }
}
