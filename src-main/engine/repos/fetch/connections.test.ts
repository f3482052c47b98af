import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import type { ConnectionOptions } from '../definition/section.ts';
import { type Authority, type Certified, makeAuthority } from './authority.test-support.ts';
import { openConnections } from './connections.ts';
import { fetchText } from './fetch-text.ts';
import { openFetcher } from './fetcher.ts';
import { createMirrors } from './mirrors.ts';

const BODY = Buffer.from('what was asked for');
const LOGIN = `Basic ${btoa('user:pass')}`;

let dir: string;
let ours: Authority;
let other: Authority;
/** Of 127.0.0.1, by our authority. */
let site: Certified;
const opened: (() => Promise<void>)[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lago-connections-'));
  ours = makeAuthority(join(dir, 'ours'), 'Ours');
  other = makeAuthority(join(dir, 'other'), 'Other');
  site = ours.issue('site', 'IP:127.0.0.1,DNS:packages.test');
});

afterAll(() => rmSync(dir, { recursive: true }));

afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly proxyAuthorization: string | undefined;
}

interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly asked: Asked[];
  readonly server: Server;
}

/** A server on loopback that answers every request with the body, or as `answer` says. With a certificate it speaks TLS. */
async function serve(answer: RequestListener = (_, response) => response.end(BODY), tls?: Certified & ServerOptions): Promise<TestServer> {
  const asked: Asked[] = [];
  const listener: RequestListener = (request, response) => {
    const { authorization, 'proxy-authorization': proxyAuthorization } = request.headers;
    asked.push({ path: request.url ?? '', authorization, proxyAuthorization });
    answer(request, response);
  };
  const server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer({ ...tls, key: readFileSync(tls.key), cert: readFileSync(tls.cert) }, listener);
  const sockets = new Set<Duplex>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}/`, port, asked, server };
}

/** A server that sends everybody to another address. */
async function redirectTo(location: string, tls?: Certified): Promise<TestServer> {
  return await serve((_, response) => response.writeHead(302, { location }).end('elsewhere'), tls);
}

/** A proxy that also opens tunnels: to this machine, whatever name is asked for. */
async function serveProxy(status = 200): Promise<TestServer & { readonly tunnels: string[] }> {
  const tunnels: string[] = [];
  const proxy = await serve((_, response) => response.writeHead(status).end(BODY));
  proxy.server.on('connect', ({ url = '', headers }, client) => {
    tunnels.push(`${url} ${headers['proxy-authorization']}`);
    if (status !== 200) {
      client.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    const target = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    for (const end of [client, target]) end.on('error', () => end.destroy());
  });
  return { ...proxy, tunnels };
}

interface Wish {
  readonly connection?: Partial<ConnectionOptions>;
  readonly env?: Readonly<Record<string, string>>;
  /** Addresses below which the file is looked for, all of them named by the repository. */
  readonly urls: readonly string[];
  /** Those that its file names; default: all. */
  readonly servers?: readonly string[];
}

/** Fetches a small file, whose content nothing checks. */
async function read({ connection, env = {}, urls, servers = urls }: Wish): Promise<string | undefined> {
  const how = { sslVerify: true, retries: 2, ...connection };
  using connections = await openConnections(how, { servers, maxConnections: 2, env });
  const patience = { attempts: 2, backOffMs: 1, log: silentLog };
  const found = await fetchText(connections, createMirrors(urls), 'file', { maxBytes: 1000 }, patience);
  return found === undefined || found === 'unchanged' ? found : found.content.toString();
}

const failure = (code: string, message: RegExp) => ({ code, message: expect.stringMatching(message) });

describe('redirects', () => {
  test('are followed on the same server and to another', async () => {
    const target = await serve();
    const first = await serve((request, response) => {
      const location = request.url === '/file' ? 'below/next' : request.url === '/below/next' ? '/top' : target.url;
      response.writeHead(307, { location }).end();
    });
    expect(await read({ urls: [first.url] })).toBe(BODY.toString());
    expect(first.asked.map(({ path }) => path)).toEqual(['/file', '/below/next', '/top']);
    expect(target.asked).toHaveLength(1);
  });

  test.each([
    ['that never end', '/again', /redirects more than 6 times/],
    ['to files of this machine', 'file:///etc/hostname', /redirects to file:\/\/\/etc\/hostname, which is less secure/],
    ['to what is no address', 'http://[', /redirects to what is no address/],
  ])('%s are refused, and the next mirror is asked', async (_, location, message) => {
    const wrong = await redirectTo(location);
    await expect(read({ urls: [wrong.url] })).rejects.toMatchObject(failure('remote.invalid', message));
    const right = await serve();
    expect(await read({ urls: [wrong.url, right.url] })).toBe(BODY.toString());
  });

  test('from https to http are followed only for files whose content is checked', async () => {
    const plain = await serve();
    const secure = await redirectTo(plain.url, site);
    const connection = { sslVerify: true, sslCaCert: ours.cert };
    await expect(read({ urls: [secure.url], connection })).rejects.toMatchObject(failure('remote.invalid', /which is less secure/));
    expect(plain.asked).toEqual([]);
    using connections = await openConnections(connection, { servers: [], maxConnections: 2, env: {} });
    const [parts, path] = [join(dir, 'parts'), join(dir, 'file')];
    const patience = { log: silentLog };
    const fetcher = await openFetcher({ connections, mirrors: createMirrors([secure.url]), parts, patience });
    const checksum = { algorithm: 'sha256', hex: createHash('sha256').update(BODY).digest('hex') };
    await fetcher.fetch({ location: 'file', checksum }, path);
    expect(readFileSync(path).equals(BODY)).toBe(true);
  });
});

describe('logins', () => {
  const connection = { username: 'user', password: 'pass' };

  test('are sent to all servers that the file names, and to no other', async () => {
    const [named, alsoNamed, foreign] = [await serve((_, response) => response.writeHead(404).end()), await serve(), await serve()];
    expect(await read({ urls: [named.url, alsoNamed.url], connection })).toBe(BODY.toString());
    expect([...named.asked, ...alsoNamed.asked].map(({ authorization }) => authorization)).toEqual([LOGIN, LOGIN]);
    expect(await read({ urls: [foreign.url], servers: [named.url], connection })).toBe(BODY.toString());
    expect(foreign.asked).toMatchObject([{ authorization: undefined }]);
  });

  test('do not follow a redirect to another server', async () => {
    const target = await serve();
    const first = await redirectTo(target.url);
    expect(await read({ urls: [first.url], connection })).toBe(BODY.toString());
    const own = first.url.replace('//', '//user:pass@');
    expect(await read({ urls: [own] })).toBe(BODY.toString());
    expect(first.asked.map(({ authorization }) => authorization)).toEqual([LOGIN, LOGIN]);
    expect(target.asked.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
  });

  test('of the address hold on the same server after a redirect, and are in no message', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/file') response.writeHead(302, { location: `http://${request.headers.host}/moved` }).end();
      else response.writeHead(request.headers.authorization === LOGIN ? 403 : 401).end();
    });
    const shown = read({ urls: [server.url.replace('//', '//user:pass@')] });
    await expect(shown).rejects.toMatchObject(failure('remote.invalid', /status 403/));
    await expect(shown).rejects.not.toMatchObject({ message: expect.stringContaining('pass') });
  });
});

describe('proxies', () => {
  test('of the repository are used with their login, in place of those of the environment', async () => {
    const proxy = await serveProxy();
    const env = { http_proxy: 'http://127.0.0.1:1', no_proxy: '' };
    const connection = { proxy: proxy.url, proxyUsername: 'me', proxyPassword: 'p@w', username: 'user', password: 'pass' };
    expect(await read({ urls: ['http://packages.test/'], connection, env })).toBe(BODY.toString());
    expect(proxy.asked).toEqual([
      { path: 'http://packages.test/file', authorization: LOGIN, proxyAuthorization: `Basic ${btoa('me:p@w')}` },
    ]);
    expect(await read({ urls: ['http://packages.test/'], env: { http_proxy: proxy.url } })).toBe(BODY.toString());
  });

  test('of the environment are not used where the repository says _none_', async () => {
    const server = await serve();
    const env = { http_proxy: 'http://127.0.0.1:1' };
    expect(await read({ urls: [server.url], connection: { proxy: 'none' }, env })).toBe(BODY.toString());
    await expect(read({ urls: [server.url], env })).rejects.toMatchObject({ code: 'remote.unreachable' });
  });

  test('tunnel to https servers, by name and by address', async () => {
    const [proxy, server] = [await serveProxy(), await serve(undefined, site)];
    const warnings: string[] = [];
    const note = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', note);
    const connection = { proxy: proxy.url, proxyUsername: 'me', proxyPassword: 'pw', sslCaCert: ours.cert };
    for (const host of ['packages.test', '127.0.0.1']) {
      expect(await read({ urls: [`https://${host}:${server.port}/`], connection })).toBe(BODY.toString());
    }
    process.off('warning', note);
    const login = `Basic ${btoa('me:pw')}`;
    expect(proxy.tunnels).toEqual([`packages.test:${server.port} ${login}`, `127.0.0.1:${server.port} ${login}`]);
    expect(server.asked.map(({ proxyAuthorization }) => proxyAuthorization)).toEqual([undefined, undefined]);
    expect(warnings).toEqual([]);
    // A certificate has to be right behind a proxy too.
    const foreign = read({ urls: [`https://packages.test:${server.port}/`], connection: { ...connection, sslCaCert: other.cert } });
    await expect(foreign).rejects.toMatchObject(failure('remote.invalid', /not trusted/));
  });

  test('that want a login are asked once, and named', async () => {
    const proxy = await serveProxy(407);
    const connection = { proxy: proxy.url };
    const plain = read({ urls: ['http://packages.test/'], connection });
    await expect(plain).rejects.toMatchObject(failure('remote.invalid', /the proxy wants a login \(status 407\)/));
    const tunnel = read({ urls: ['https://packages.test/'], connection });
    await expect(tunnel).rejects.toMatchObject(failure('remote.invalid', /the proxy 127\.0\.0\.1:\d+ answers with status 407/));
    expect([proxy.asked.length, proxy.tunnels.length]).toEqual([1, 1]);
  });

  test('of other kinds are refused', async () => {
    const connection = { proxy: 'socks5://127.0.0.1:1080' };
    await expect(read({ urls: ['http://packages.test/'], connection })).rejects.toMatchObject(
      failure('input.invalid', /only http proxies/),
    );
  });
});

describe('certificates', () => {
  test('count when they are by an authority that the repository, or this machine, trusts', async () => {
    const server = await serve(undefined, site);
    const wish = { urls: [server.url] };
    expect(await read({ ...wish, connection: { sslCaCert: ours.cert } })).toBe(BODY.toString());
    expect(await read({ ...wish, env: { SSL_CERT_FILE: ours.cert } })).toBe(BODY.toString());
    expect(await read({ ...wish, env: { NODE_EXTRA_CA_CERTS: ours.cert } })).toBe(BODY.toString());
    await expect(read(wish)).rejects.toMatchObject(failure('remote.invalid', /certificate of the server is not trusted/));
    await expect(read({ ...wish, connection: { sslCaCert: other.cert } })).rejects.toMatchObject({ code: 'remote.invalid' });
    expect(await read({ ...wish, connection: { sslVerify: false } })).toBe(BODY.toString());
  });

  test('of other servers do not count', async () => {
    const server = await serve(undefined, ours.issue('wrong', 'DNS:other.test'));
    const connection = { sslCaCert: ours.cert };
    await expect(read({ urls: [server.url], connection })).rejects.toMatchObject(failure('remote.invalid', /not in the cert/));
  });

  test('of clients are shown to servers that ask for one', async () => {
    const server = await serve(undefined, { ...site, ca: readFileSync(ours.cert), requestCert: true, rejectUnauthorized: true });
    const [mine, foreign] = [ours.issue('me', 'DNS:me.test'), other.issue('me', 'DNS:me.test')];
    const with_ = async (more: Partial<ConnectionOptions>) =>
      await read({ urls: [server.url], connection: { sslCaCert: ours.cert, ...more } });
    expect(await with_({ sslClientCert: mine.cert, sslClientKey: mine.key })).toBe(BODY.toString());
    const both = join(dir, 'both.pem');
    writeFileSync(both, Buffer.concat([readFileSync(mine.key), readFileSync(mine.cert)]));
    expect(await with_({ sslClientCert: both })).toBe(BODY.toString());
    await expect(with_({})).rejects.toMatchObject(failure('remote.invalid', /client certificate/));
    const refused = with_({ sslClientCert: foreign.cert, sslClientKey: foreign.key });
    // This server hangs up without a word.
    await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/^remote\./) });
    expect(server.asked).toHaveLength(2);
  });

  test('that are missing, damaged or of another key are said before anything is asked', async () => {
    const server = await serve(undefined, site);
    const damaged = join(dir, 'damaged.pem');
    writeFileSync(damaged, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const cases: readonly (readonly [Partial<ConnectionOptions>, string, RegExp])[] = [
      [{ sslCaCert: join(dir, 'none.pem') }, 'input.missing-file', /none\.pem does not exist/],
      [{ sslCaCert: damaged }, 'input.invalid', /damaged\.pem cannot be used/],
      [{ sslClientCert: site.cert, sslClientKey: other.key }, 'input.invalid', /cannot be used/],
    ];
    for (const [connection, code, message] of cases) {
      await expect(read({ urls: [server.url], connection })).rejects.toMatchObject(failure(code, message));
    }
    expect(server.asked).toEqual([]);
  });
});

test('a server that asks nobody to come in lets its place go', async () => {
  const server = await serve((_, response) => response.writeHead(403).end('no'));
  using connections = await openConnections({ sslVerify: true }, { servers: [], maxConnections: 1, env: {} });
  const patience = { attempts: 1, backOffMs: 1, log: silentLog };
  for (let times = 0; times < 3; times++) {
    const asked = fetchText(connections, createMirrors([server.url]), 'file', { maxBytes: 10 }, patience);
    await expect(asked).rejects.toMatchObject({ code: 'remote.invalid' });
  }
  expect(server.asked).toHaveLength(3);
});
