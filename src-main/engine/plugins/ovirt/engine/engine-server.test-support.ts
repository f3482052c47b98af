import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { drop, silentLog } from '../../../core/log.ts';

interface Item {
  readonly id: string;
  readonly name: string;
  status: string;
  /** Of a cluster: its CPU type, and its compatibility version. */
  cpu?: string;
  readonly level?: string;
  /** Of a VM: the host that it runs on. */
  readonly host?: string;
  /** What it becomes, one state at each look. */
  next?: string[];
}

/** A small server that speaks as much of oVirt's documented REST API as is used, on a port of the loopback address. */
export interface EngineServer extends AsyncDisposable {
  readonly authority: string;
  readonly otherAuthority: string;
  /** `METHOD PATH`, in order. */
  readonly asked: string[];
  /** Logins that did not come with a session. */
  logins: number;
  /** Answers to all requests, as long as there are any. */
  readonly troubles: number[];
  readonly collections: Record<string, Item[]>;
  open(): Promise<Duplex>;
}

function makeCertificates(folder: string): void {
  const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  for (const name of ['ca', 'other']) {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
    );
  }
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'engine.key', '-out', 'engine.csr', '-subj', '/CN=engine.lago.local');
  openssl('x509', '-req', '-in', 'engine.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'engine.pem', '-days', '2');
}

/** Starts one of a generation: 3 answers as oVirt 3.6 did. */
export async function startEngineServer(version: 3 | 4): Promise<EngineServer> {
  const folder = mkdtempSync(join(tmpdir(), 'lago-engine-'));
  makeCertificates(folder);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const wrap = (status: string): unknown => (version === 4 ? status : { state: status });
  const cpuKey = version === 4 ? 'type' : 'id';
  const shown = ({ id, name, status, cpu, level, host }: Item): object => ({
    id,
    name,
    status: wrap(status),
    ...(cpu === undefined ? {} : { cpu: { architecture: 'x86_64', [cpuKey]: cpu } }),
    ...(level === undefined ? {} : { version: { major: level.split('.')[0], minor: level.split('.')[1] } }),
    ...(host === undefined ? {} : { host: { id: host } }),
  });

  const server = createServer({ key: read('engine.key'), cert: read('engine.pem') }, (request, response) => {
    drop(respond(request, response), silentLog, 'answer');
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const answer = (status: number, content: unknown): void => {
      const session = status === 200 ? { 'Set-Cookie': 'JSESSIONID=s1; path=/ovirt-engine/api; secure' } : {};
      response.writeHead(status, { 'Content-Type': 'application/json', ...session });
      response.end(JSON.stringify(content));
    };
    made.asked.push(`${request.method} ${decodeURIComponent(request.url ?? '')}`);
    const trouble = made.troubles.shift();
    if (trouble !== undefined) return answer(trouble, { detail: 'not now' });
    if (!isKnown(request)) return answer(401, { detail: 'no' });
    const url = new URL(request.url ?? '', 'https://engine');
    const parts = url.pathname
      .replace('/ovirt-engine/api', '')
      .split('/')
      .filter((part) => part !== '');
    if (parts.length === 0) return answer(200, root);
    const depth = parts[0]?.startsWith('data') === true && parts.length > 2 ? 3 : 1;
    const collection = made.collections[parts[depth - 1] ?? ''];
    const [id, action] = parts.slice(depth);
    if (collection === undefined) return answer(404, { fault: { detail: 'There is no such collection' } });
    if (id === undefined)
      return answer(200, { [(parts[depth - 1] ?? '').replace(/s$/, '')]: found(collection, url.searchParams.get('search')).map(shown) });
    const item = collection.find((one) => one.id === id);
    if (item === undefined) return answer(404, { detail: 'Entity not found' });
    if (action !== undefined) return answer(200, { status: 'complete' });
    if (request.method === 'PUT') {
      const { cpu } = JSON.parse(body) as { cpu?: Record<string, string> };
      if (cpu?.[cpuKey] === undefined) return answer(400, { detail: 'Nothing that this generation knows is changed' });
      item.cpu = cpu[cpuKey];
      return answer(200, shown(item));
    }
    item.status = item.next?.shift() ?? item.status;
    return answer(200, shown(item));
  }

  function isKnown({ headers }: IncomingMessage): boolean {
    if (headers.cookie === 'JSESSIONID=s1') return true;
    made.logins++;
    return (
      headers.prefer === 'persistent-auth' && headers.authorization === `Basic ${Buffer.from('admin@internal:123').toString('base64')}`
    );
  }

  function found(items: readonly Item[], search: string | null): readonly Item[] {
    const status = /status=(\w+)/.exec(search ?? '')?.[1];
    const not = /name!=(\w+)/.exec(search ?? '')?.[1];
    const name = /name=(\w+)/.exec(search ?? '')?.[1];
    return items.filter(
      (item) => (status === undefined || item.status === status) && item.name !== not && (name === undefined || item.name === name),
    );
  }

  const full = version === 4 ? { full_version: '4.2.8.2-1.el7' } : {};
  const root = {
    product_info: { name: 'oVirt Engine', version: { major: String(version), minor: version === 4 ? '2' : '6', ...full } },
    summary: { hosts: { total: '2', active: '1' }, vms: { total: '1', active: '0' } },
  };
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const made: EngineServer = {
    authority: read('ca.pem'),
    otherAuthority: read('other.pem'),
    asked: [],
    logins: 0,
    troubles: [],
    collections: {},
    open: async () =>
      await new Promise<Duplex>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket));
        socket.once('error', reject);
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return made;
}
