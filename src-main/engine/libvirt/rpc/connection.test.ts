import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../../src-shared/errors.ts';
import { until } from '../../core/until.ts';
import type { Hypervisor, HypervisorEvent } from '../hypervisor.ts';
import { connectHypervisor } from '../libvirt.ts';
import { type ConnectionOptions, RpcConnection } from './connection.ts';
import { type FakeClient, type FakeLibvirtd, FakeLibvirtError, type Handlers, startFakeLibvirtd } from './libvirtd.fake.ts';
import { notices, procedures } from './protocol.ts';
import { STATUS_CONTINUE, STATUS_ERROR, STATUS_OK } from './wire.ts';

const cleanUps: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function daemon(handlers: Handlers = {}): Promise<FakeLibvirtd> {
  const server = await startFakeLibvirtd(handlers);
  cleanUps.push(async () => await server.stop());
  return server;
}

async function connect(server: FakeLibvirtd): Promise<Hypervisor> {
  const hypervisor = await connectHypervisor(server.uri);
  cleanUps.push(async () => await hypervisor.close());
  return hypervisor;
}

async function rawConnection(server: FakeLibvirtd, options: ConnectionOptions = {}): Promise<RpcConnection> {
  const socket: Socket = createConnection(server.path);
  await once(socket, 'connect');
  const connection = new RpcConnection(socket, options);
  cleanUps.push(() => connection.close());
  return connection;
}

async function eventually(condition: () => boolean): Promise<void> {
  await until(async () => (condition() ? true : undefined), {
    everyMs: 2,
    timeoutMs: 10_000,
    failure: () => new EngineError('internal', `Never became true: ${condition.toString()}`),
  });
}

async function failureOf(promise: Promise<unknown>): Promise<EngineError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('It should have failed.');
}

/** A handler that holds every call until `release`. */
function gate(): { readonly wait: () => Promise<undefined>; readonly release: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<undefined>((resolve) => {
    open = () => resolve(undefined);
  });
  return { wait: async () => await opened, release: () => open() };
}

describe('trap 1: libvirtd works on five calls of a connection, then stops reading', () => {
  it('answers a state query while many starts are held up, and never gives the daemon more than four of them', async () => {
    const held = gate();
    const server = await daemon({
      domainCreate: async ({ domain }) => {
        await held.wait();
        return { domain };
      },
    });
    const hypervisor = await connect(server);
    const starts = Array.from({ length: 8 }, async (_, i) => await hypervisor.startDomain(`vm${i}`));
    await eventually(() => server.clients.some((client) => client.working === 4));
    expect((await hypervisor.findDomain('vm0'))?.state).toBe('shut off');
    expect(server.calls().filter((call) => call.name === 'domainCreate')).toHaveLength(4);
    held.release();
    await Promise.all(starts);
    expect(server.calls().filter((call) => call.name === 'domainCreate')).toHaveLength(8);
    expect(Math.max(...server.clients.map((client) => client.mostWorking))).toBe(4);
  });

  it('gets pings through while fast calls are held up too', async () => {
    const held = gate();
    const server = await daemon({
      domainLookupByName: async () => ({ domain: (await held.wait(), { name: 'x', uuid: '0'.repeat(32), id: 1 }) }),
    });
    const connection = await rawConnection(server, { keepalive: { everyMs: 10, missed: 2 } });
    const calls = Array.from({ length: 20 }, async () => await connection.call(procedures.domainLookupByName, { name: 'x' }, 'Looking'));
    await eventually(() => (server.clients[0]?.pings ?? 0) > 5);
    held.release();
    await Promise.all(calls);
    expect(connection.closed).toBeUndefined();
  });
});

describe('trap 2: an unread stream blocks everything on its connection', () => {
  it('gives the console a connection of its own, lets it pause the daemon, and loses nothing', async () => {
    const packet = Buffer.alloc(64 * 1024);
    const total = 400;
    let sent = 0;
    const server = await daemon({
      domainOpenConsole: (_, client, serial) => {
        const pump = (): void => {
          while (sent < total) {
            packet.writeUInt32BE(sent);
            sent += 1;
            if (!client.stream('domainOpenConsole', serial, STATUS_CONTINUE, packet)) {
              client.socket.once('drain', pump);
              return;
            }
          }
          client.stream('domainOpenConsole', serial, STATUS_CONTINUE, new Uint8Array(0));
        };
        setImmediate(pump);
        return undefined;
      },
    });
    const hypervisor = await connect(server);
    const console = await hypervisor.openConsole('vm0');
    // Until the daemon has been blocked for a while, since nobody reads.
    let still = 0;
    for (let last = -1; still < 50; still = sent === last && sent > 0 ? still + 1 : 0) {
      last = sent;
      expect((await hypervisor.findDomain('vm0'))?.name).toBe('vm0');
    }
    expect(sent).toBeLessThan(total);
    let received = 0;
    for await (const chunk of console as AsyncIterable<Buffer>) received += chunk.length;
    expect(received).toBe(total * packet.length);
    expect(sent).toBe(total);
  });

  it('writes in chunks that libvirt accepts, finishes at the end of either side and closes the connection', async () => {
    const server = await daemon({ domainOpenConsole: () => undefined });
    const hypervisor = await connect(server);
    const before = server.clients.length;
    const console = await hypervisor.openConsole('vm0', { force: true });
    const client = server.clients[before];
    if (client === undefined) throw new Error('The console has no connection of its own.');
    expect(client.calls.at(-1)?.args).toMatchObject({ flags: 1 });
    const text = Buffer.alloc(600_000, 'ab');
    console.write(text);
    console.end();
    await eventually(() => client.streamPackets.some((packet) => packet.status === STATUS_OK));
    const data = client.streamPackets.filter((packet) => packet.status === STATUS_CONTINUE);
    expect(Math.max(...data.map((packet) => packet.bytes.length))).toBeLessThanOrEqual(262_120);
    expect(Buffer.concat(data.map((packet) => packet.bytes)).equals(text)).toBe(true);
    client.stream('domainOpenConsole', client.calls.at(-1)?.serial ?? 0, STATUS_OK, new Uint8Array(0));
    console.resume();
    await once(console, 'close');
    await eventually(() => client.socket.destroyed);
  });

  it('tells the daemon when a stream is abandoned', async () => {
    const server = await daemon({ domainOpenConsole: () => undefined });
    const connection = await rawConnection(server);
    const args = { domain: { name: 'a', uuid: '0'.repeat(32), id: 1 }, device: undefined, flags: 0 };
    const { stream } = await connection.openStream(procedures.domainOpenConsole, args, 'Opening');
    stream.destroy();
    await eventually(() => server.clients[0]?.streamPackets.at(-1)?.status === STATUS_ERROR);
  });

  it('ends a console, but breaks a picture, when the far end hangs up', async () => {
    const hangUp = (client: FakeClient, name: 'domainOpenConsole' | 'domainScreenshot', serial: number): void => {
      setImmediate(() => {
        client.stream(name, serial, STATUS_CONTINUE, Buffer.from('abc'));
        client.breakStream(name, serial, 39, 'stream had I/O failure');
      });
    };
    const server = await daemon({
      domainOpenConsole: (_, client, serial) => {
        hangUp(client, 'domainOpenConsole', serial);
        return undefined;
      },
      domainScreenshot: (_, client, serial) => {
        hangUp(client, 'domainScreenshot', serial);
        return { mime: 'image/png' };
      },
    });
    const hypervisor = await connect(server);
    expect(await text(await hypervisor.openConsole('vm0'))).toBe('abc');
    expect(await failureOf(hypervisor.screenshot('vm0'))).toMatchObject({ code: 'hypervisor.failed', details: { libvirtCode: 39 } });
    await eventually(() => server.clients.slice(2).every((client) => client.socket.destroyed));
  });

  it('breaks a console that hangs up before it has taken all input', async () => {
    const server = await daemon({ domainOpenConsole: () => undefined });
    const hypervisor = await connect(server);
    const console = await hypervisor.openConsole('vm0');
    const failed = once(console, 'error');
    const client = server.clients.at(-1);
    console.end('input');
    await eventually(() => client?.streamPackets.at(-1)?.status === STATUS_OK);
    client?.breakStream('domainOpenConsole', client.calls.at(-1)?.serial ?? 0, 39, 'stream had I/O failure');
    expect((await failed)[0]).toMatchObject({ code: 'hypervisor.failed', details: { libvirtCode: 39 } });
  });

  it('closes the console when the daemon refuses it', async () => {
    const server = await daemon({
      domainOpenConsole: () => {
        throw new FakeLibvirtError(55, 'domain is not running');
      },
    });
    const hypervisor = await connect(server);
    const error = await failureOf(hypervisor.openConsole('vm0'));
    expect(error).toMatchObject({ code: 'hypervisor.failed', details: { procedure: 'domainOpenConsole', libvirtCode: 55 } });
    await eventually(() => server.clients.at(-1)?.socket.destroyed === true);
  });
});

describe('trap 3: file descriptors cannot be received', () => {
  it('knows no procedure that passes them', () => {
    // domain create (xml) with files, open graphics fd, fd associate; and the older open graphics that sends one.
    const passing = new Set([249, 309, 310, 343, 443]);
    expect(Object.values(procedures).filter((procedure) => passing.has(procedure.number))).toEqual([]);
  });

  it.each([4, 5, 6, 77])('gives up the connection on a message of type %i', async (type) => {
    const server = await daemon({
      domainLookupByName: async (_, client, serial) => {
        client.send(type, procedures.domainLookupByName.number, serial, STATUS_OK, Buffer.from([0]));
        return await new Promise(() => undefined);
      },
    });
    const hypervisor = await connect(server);
    const error = await failureOf(hypervisor.findDomain('vm0'));
    expect(error.code).toBe('hypervisor.disconnected');
    expect(error.message).toContain(`type ${type}`);
  });
});

describe('trap 4: the daemon finishes an abandoned call', () => {
  it('rejects at once, keeps its slot until the answer arrives, and is not confused by it', async () => {
    const held = gate();
    const server = await daemon({
      domainCreate: async ({ domain }) => {
        await held.wait();
        return { domain };
      },
    });
    const connection = await rawConnection(server);
    const domain = { name: 'vm0', uuid: '0'.repeat(32), id: -1 };
    const abort = new AbortController();
    const start = async (signal?: AbortSignal): Promise<unknown> =>
      await connection.call(procedures.domainCreate, { domain, flags: 0 }, 'Starting VM vm0', { signal });
    const cancelled = Array.from({ length: 4 }, async () => await failureOf(start(abort.signal)));
    await eventually(() => server.clients[0]?.working === 4);
    abort.abort();
    for (const error of await Promise.all(cancelled))
      expect(error).toMatchObject({ code: 'cancelled', message: 'Starting VM vm0 was cancelled.' });
    expect(connection.inFlight).toBe(4);
    const fifth = start();
    expect(connection.inFlight).toBe(4);
    held.release();
    await fifth;
    expect(connection.inFlight).toBe(0);
    expect(server.clients[0]?.mostWorking).toBe(4);
  });

  it('waits for a change that was sent, even if cancelled', async () => {
    const held = gate();
    const server = await daemon({
      domainCreate: async ({ domain }) => {
        await held.wait();
        return { domain };
      },
    });
    const hypervisor = await connect(server);
    const abort = new AbortController();
    const starting = hypervisor.startDomain('vm0', {}, { signal: abort.signal });
    await eventually(() => server.calls().some((call) => call.name === 'domainCreate'));
    abort.abort();
    let over = false;
    const ended = starting.then(() => (over = true));
    await hypervisor.findDomain('vm0');
    expect(over).toBe(false);
    held.release();
    await ended;
  });

  it('does not send a call that is cancelled while queued', async () => {
    const held = gate();
    const server = await daemon({
      domainCreate: async ({ domain }) => {
        await held.wait();
        return { domain };
      },
    });
    const hypervisor = await connect(server);
    const starts = Array.from({ length: 4 }, async () => await hypervisor.startDomain('vm0'));
    const abort = new AbortController();
    await eventually(() => server.calls().filter((call) => call.name === 'domainCreate').length === 4);
    const waiting = failureOf(hypervisor.startDomain('vm1', {}, { signal: abort.signal }));
    await hypervisor.findDomain('vm0');
    abort.abort();
    expect((await waiting).code).toBe('cancelled');
    held.release();
    await Promise.all(starts);
    expect(server.calls().filter((call) => call.name === 'domainCreate')).toHaveLength(4);
  });

  it('rejects a call that exceeds its time limit', async () => {
    const server = await daemon({ domainShutdown: async () => await new Promise(() => undefined) });
    const hypervisor = await connect(server);
    const error = await failureOf(hypervisor.shutdownDomain('vm0', {}, { timeoutMs: 20 }));
    expect(error).toMatchObject({ code: 'hypervisor.failed', details: { procedure: 'domainShutdown', timeoutMs: 20 } });
  });

  it('rejects without sending when the signal is already aborted', async () => {
    const server = await daemon();
    const hypervisor = await connect(server);
    const before = server.calls().length;
    expect((await failureOf(hypervisor.startDomain('vm0', {}, { signal: AbortSignal.abort() }))).code).toBe('cancelled');
    expect(server.calls()).toHaveLength(before);
    expect((await failureOf(connectHypervisor(server.uri, { signal: AbortSignal.abort() }))).code).toBe('cancelled');
  });
});

describe('trap 5: a daemon that pings drops clients that do not answer', () => {
  it('never asks to be pinged, but answers pings, even while calls are held up', async () => {
    const held = gate();
    const server = await daemon({ domainShutdown: held.wait });
    const hypervisor = await connect(server);
    const waiting = hypervisor.shutdownDomain('vm0');
    const client = server.clients.find((one) => one.calls.some((call) => call.name === 'connectDomainEventRegister'));
    client?.ping();
    client?.ping();
    await eventually(() => client?.pongs === 2);
    held.release();
    await waiting;
    // Feature 10 turns the pings on.
    expect(server.calls().filter((call) => call.name === 'connectSupportsFeature')).toEqual([]);
  });

  it('detects a daemon that is stopped', async () => {
    const server = await daemon({ domainShutdown: async () => await new Promise(() => undefined) });
    const connection = await rawConnection(server, { keepalive: { everyMs: 10, missed: 3 } });
    server.answersPings = false;
    const domain = { name: 'vm0', uuid: '0'.repeat(32), id: 1 };
    const error = await failureOf(connection.call(procedures.domainShutdown, { domain, flags: 0 }, 'Shutting down VM vm0'));
    expect(error).toMatchObject({ code: 'hypervisor.disconnected', message: expect.stringContaining('did not answer 3 pings') as string });
    expect(server.clients[0]?.pings).toBe(3);
  });

  it('does not blame the daemon when this process itself was busy', async () => {
    const server = await daemon();
    const connection = await rawConnection(server, { keepalive: { everyMs: 10, missed: 2 } });
    for (let i = 0; i < 4; i++) {
      await eventually(() => (server.clients[0]?.pings ?? 0) > i);
      const end = Date.now() + 100;
      while (Date.now() < end) expect(connection.closed).toBeUndefined();
    }
    expect((await connection.call(procedures.authList, undefined, 'Asking')).types).toEqual([0]);
  });
});

describe('trap 7: a lost connection', () => {
  it('rejects every waiting call, on both connections, reports it once, and refuses later calls', async () => {
    const held = gate();
    const server = await daemon({
      domainCreate: async ({ domain }) => ({ domain: (await held.wait(), domain) }),
      domainGetState: async () => await new Promise(() => undefined),
    });
    const hypervisor = await connect(server);
    const events: HypervisorEvent[] = [];
    hypervisor.onEvent((event) => events.push(event));
    const calls = [
      ...Array.from({ length: 6 }, async () => await failureOf(hypervisor.startDomain('vm0'))),
      ...Array.from({ length: 6 }, async () => await failureOf(hypervisor.findDomain('vm0'))),
    ];
    await eventually(() => server.calls().filter((call) => call.name === 'domainCreate' || call.name === 'domainGetState').length >= 5);
    // Only the connection for slow calls dies: the other one must follow.
    server.clients.find((client) => client.calls.some((call) => call.name === 'domainCreate'))?.socket.destroy();
    for (const error of await Promise.all(calls)) expect(error.code).toBe('hypervisor.disconnected');
    expect(events).toEqual([{ type: 'disconnected', reason: expect.any(String) as string }]);
    // The two connections that were lost, whatever has been opened again by now.
    await eventually(() => server.clients.slice(0, 2).every((client) => client.socket.destroyed));
  });

  it('is opened again, events included, while callers wait', async () => {
    const server = await daemon();
    const hypervisor = await connect(server);
    const events: HypervisorEvent[] = [];
    hypervisor.onEvent((event) => events.push(event));
    await server.pause();
    await eventually(() => events.length === 1);
    const waiting = hypervisor.findDomain('vm0');
    const abort = new AbortController();
    const cancelled = failureOf(hypervisor.findDomain('vm0', { signal: abort.signal }));
    abort.abort();
    expect(await cancelled).toMatchObject({ code: 'cancelled' });
    const late = await failureOf(hypervisor.findDomain('vm0', { timeoutMs: 10 }));
    expect(late).toMatchObject({ code: 'hypervisor.disconnected', hint: expect.any(String) as string });
    expect(late.stack).toContain('connection.test.ts');
    await server.resume();
    expect((await waiting)?.name).toBe('vm0');
    expect(events.map((event) => event.type)).toEqual(['disconnected', 'connected']);
    const domain = { name: 'vm0', uuid: '00000000-0000-4000-8000-000000000001', id: 3 };
    for (const client of server.clients.slice(2)) client.notify(notices.domainLifecycle, { callback: 1, domain, event: 2, detail: 0 });
    await eventually(() => events.length > 2);
    expect(events.at(-1)).toEqual({ type: 'domain', name: 'vm0', uuid: domain.uuid, event: 'started', detail: 0 });
  });

  it('is not opened again once it was closed', async () => {
    const server = await daemon();
    const hypervisor = await connect(server);
    const events: HypervisorEvent[] = [];
    hypervisor.onEvent((event) => events.push(event));
    await server.pause();
    await eventually(() => events.length === 1);
    const waiting = failureOf(hypervisor.whenConnected());
    await hypervisor.close();
    expect(await waiting).toMatchObject({ code: 'hypervisor.disconnected' });
    await server.resume();
    expect(await failureOf(hypervisor.findDomain('vm0'))).toMatchObject({ code: 'hypervisor.disconnected' });
    expect(events.map((event) => event.type)).toEqual(['disconnected', 'closed']);
    expect(server.clients).toHaveLength(2);
  });

  it('reports a guest reboot', async () => {
    const server = await daemon();
    const hypervisor = await connect(server);
    const event = new Promise((resolve) => hypervisor.onEvent(resolve));
    const domain = { name: 'vm0', uuid: '00000000-0000-4000-8000-000000000001', id: 3 };
    for (const client of server.clients) client.notify(notices.domainReboot, { callback: 1, domain });
    expect(await event).toEqual({ type: 'domain', name: 'vm0', uuid: domain.uuid, event: 'rebooted', detail: 0 });
  });

  it('ends an open console with the reason', async () => {
    const server = await daemon({ domainOpenConsole: () => undefined });
    const hypervisor = await connect(server);
    const console: Duplex = await hypervisor.openConsole('vm0');
    const failed = once(console, 'error');
    server.clients[0]?.socket.destroy();
    expect((await failed)[0]).toMatchObject({ code: 'hypervisor.disconnected' });
  });

  it('rejects what is waiting when closed, and may be closed twice', async () => {
    const server = await daemon({ domainShutdown: async () => await new Promise(() => undefined) });
    const hypervisor = await connect(server);
    const waiting = failureOf(hypervisor.shutdownDomain('vm0'));
    await eventually(() => server.calls().some((call) => call.name === 'domainShutdown'));
    await hypervisor.close();
    await hypervisor.close();
    expect((await waiting).code).toBe('hypervisor.disconnected');
  });
});

describe('invalid replies', () => {
  it.each([
    ['an answer to no question', 1, 23, 4711, STATUS_OK, ''],
    ['an answer of another procedure', 1, 99, undefined, STATUS_OK, ''],
  ])('%s ends the connection', async (_, type, procedure, serial, status, hex) => {
    const server = await daemon({
      domainLookupByName: async (_args, client, own) => {
        client.send(type, procedure, serial ?? own, status, Buffer.from(hex, 'hex'));
        return await new Promise(() => undefined);
      },
    });
    const error = await failureOf((await connect(server)).findDomain('vm0'));
    expect(error).toMatchObject({ code: 'hypervisor.disconnected', message: expect.stringContaining('unknown serial') as string });
  });

  it.each([
    ['too short', STATUS_OK, '0000'],
    ['too long', STATUS_OK, `00000001610000000000000000000000000000000000000000000001${'00'.repeat(4)}`],
    ['an error that is no error', STATUS_ERROR, 'ffff'],
    ['a status that does not exist', 9, ''],
  ])('%s: only that call fails', async (_, status, hex) => {
    const server = await daemon({
      domainLookupByName: async (_args, client, serial) => {
        client.send(1, procedures.domainLookupByName.number, serial, status, Buffer.from(hex, 'hex'));
        return await new Promise(() => undefined);
      },
    });
    const hypervisor = await connect(server);
    expect(await failureOf(hypervisor.findDomain('vm0'))).toMatchObject({
      code: 'hypervisor.failed',
      details: { procedure: 'domainLookupByName' },
    });
    expect((await failureOf(hypervisor.capabilities())).message).toContain('not supported');
  });

  it('ends the connection on bytes that are not a message', async () => {
    const server = await daemon({
      domainLookupByName: async (_args, client) => {
        client.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
        return await new Promise(() => undefined);
      },
    });
    expect((await failureOf((await connect(server)).findDomain('vm0'))).code).toBe('hypervisor.disconnected');
  });
});
