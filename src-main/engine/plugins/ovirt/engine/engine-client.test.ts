import { Duplex } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../../../src-shared/errors.ts';
import type { OvirtVersion } from '../cpu/cpu-families.ts';
import { type EngineAddress, EngineClient } from './engine-client.ts';
import { type EngineServer, startEngineServer } from './engine-server.test-support.ts';
import { engineStatus, startHosts, startVms, stopHosts, updateClusters, waitForStorage } from './engine-work.ts';

const waiting = { signal: new AbortController().signal, everyMs: 1 };

describe.each([4, 3] as const)('an engine of generation %d', (version) => {
  let server: EngineServer;
  beforeAll(async () => {
    server = await startEngineServer(version);
  }, 60_000);
  afterAll(async () => await server[Symbol.asyncDispose]());
  beforeEach(() => {
    server.asked.length = 0;
    server.logins = 0;
    server.troubles.length = 0;
    for (const name of Object.keys(server.collections)) server.collections[name] = [];
  });

  const address = (change: Partial<EngineAddress> = {}): EngineAddress => ({
    vm: 'engine',
    user: 'admin@internal',
    password: '123',
    authority: server.authority,
    open: async () => await server.open(),
    ...change,
  });
  const connect = async (change: Partial<EngineAddress> = {}): Promise<EngineClient> =>
    await EngineClient.connect(address(change), { ...waiting, timeoutMs: 2000 });

  it('is asked again until it answers, and its session is kept', async () => {
    server.troubles.push(503, 500);
    using engine = await connect();
    expect(engine.version).toBe(version);
    server.collections['hosts'] = [{ id: 'h1', name: 'host-0', status: 'up' }];
    expect(await engine.list('hosts')).toMatchObject([{ id: 'h1', name: 'host-0', status: 'up' }]);
    expect(await engine.get('hosts', 'h1')).toMatchObject({ status: 'up' });
    expect(server.logins).toBe(1);
    expect(server.asked.filter((one) => one === 'GET /ovirt-engine/api')).toHaveLength(3);
  });

  it('is found under the old path of the API', async () => {
    server.troubles.push(404, 404, 503);
    using _engine = await connect();
    expect(server.asked.slice(0, 3)).toEqual(['GET /ovirt-engine/api', 'GET /api', 'GET /ovirt-engine/api']);
  });

  it.each<[string, () => Partial<EngineAddress>, string, RegExp]>([
    ['that another authority signed', () => ({ authority: server.otherAuthority }), 'remote.invalid', /not signed by its own authority/],
    ['with another password', () => ({ password: '1234' }), 'guest.refused', /refuses the password/],
    [
      'that nobody answers for',
      () => ({ open: async () => await Promise.reject(new EngineError('guest.unreachable', 'VM engine refuses port 443.')) }),
      'remote.unreachable',
      /Failed to connect to the engine on VM engine: VM engine refuses port 443/,
    ],
    [
      'that accepts and says nothing',
      () => ({
        open: async () => await Promise.resolve(new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })),
      }),
      'remote.unreachable',
      /did not begin to talk in time/,
    ],
  ])('%s is an error', async (_, change, code, message) => {
    const trying = EngineClient.connect(address(change()), { ...waiting, timeoutMs: 20, requestMs: 500 });
    await expect(trying).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  });

  it('activates the hosts in maintenance, and waits for them', async () => {
    server.collections['hosts'] = [
      { id: 'h1', name: 'host-0', status: 'maintenance', next: ['unassigned', 'up'] },
      { id: 'h2', name: 'host-1', status: 'up' },
    ];
    using engine = await connect();
    await startHosts(engine, waiting);
    expect(server.asked.filter((one) => one.startsWith('POST'))).toEqual(['POST /ovirt-engine/api/hosts/h1/activate']);
    expect(server.collections['hosts'][0]?.status).toBe('up');
    server.collections['hosts'] = [{ id: 'h1', name: 'host-0', status: 'maintenance', next: ['non_operational'] }];
    await expect(startHosts(engine, waiting)).rejects.toMatchObject({ message: 'Host host-0 is in non operational state.' });
  });

  it('stops VMs before hosts, but not the one it runs in, nor the host under that', async () => {
    server.collections['hosts'] = [
      { id: 'h1', name: 'host-0', status: 'up', next: ['preparing_for_maintenance', 'maintenance'] },
      { id: 'h2', name: 'host-1', status: 'up' },
    ];
    server.collections['vms'] = [
      { id: 'v1', name: 'HostedEngine', status: 'up', host: 'h2' },
      { id: 'v2', name: 'web', status: 'up', next: ['powering_down', 'down'] },
    ];
    using engine = await connect();
    await stopHosts(engine, waiting);
    expect(server.asked.filter((one) => one.startsWith('POST'))).toEqual([
      'POST /ovirt-engine/api/vms/v2/stop',
      'POST /ovirt-engine/api/hosts/h1/deactivate',
    ]);
  });

  it('says which VM does not come up in time, and what is refused', async () => {
    server.collections['vms'] = [{ id: 'v2', name: 'web', status: 'down', next: ['wait_for_launch'] }];
    using engine = await connect();
    await expect(startVms(engine, 30, waiting)).rejects.toMatchObject({
      message: 'VM web of the engine is wait_for_launch and does not become up.',
    });
    server.troubles.push(409);
    await expect(engine.act('vms', 'v2', 'start')).rejects.toMatchObject({
      code: 'guest.failed',
      message: 'The engine refuses POST /vms/v2/start (409): not now',
    });
  });

  it('gives clusters the CPU type for their level, and asks for none that has it', async () => {
    server.collections['clusters'] = [
      { id: 'c1', name: 'Default', status: '', cpu: 'Intel Conroe Family', level: '4.2' },
      { id: 'c2', name: 'newer', status: '', cpu: 'type of 4.7', level: '4.7' },
      { id: 'c3', name: 'bare', status: '', cpu: 'x' },
    ];
    using engine = await connect();
    const family = async ({ major, minor }: OvirtVersion): Promise<string> => await Promise.resolve(`type of ${major}.${minor}`);
    expect(await updateClusters(engine, family, waiting)).toEqual(['Default', 'bare']);
    expect(server.collections['clusters'].map(({ cpu }) => cpu)).toEqual(['type of 4.2', 'type of 4.7', `type of ${version}.0`]);
    expect(server.asked.filter((one) => one.startsWith('PUT'))).toEqual([
      'PUT /ovirt-engine/api/clusters/c1',
      'PUT /ovirt-engine/api/clusters/c3',
    ]);
  });

  it('knows data centers and their storage by the names of its generation', async () => {
    const [centers, storage] = version === 4 ? ['data_centers', 'storage_domains'] : ['datacenters', 'storagedomains'];
    server.collections[centers] = [{ id: 'd1', name: 'Default', status: 'up' }];
    server.collections[storage] = [{ id: 's1', name: 'iscsi', status: 'active' }];
    using engine = await connect();
    await waitForStorage(engine, waiting);
    expect(server.asked.at(-1)).toBe(`GET /ovirt-engine/api/${centers}/d1/${storage}`);
  });

  it('tells its state in the form of Lago', async () => {
    using engine = await connect();
    expect(engineStatus(engine, { ip: '192.168.200.2', user: 'admin@internal', password: '123' })).toEqual({
      global: {
        version: version === 4 ? '4.2.8.2-1.el7' : '3.6',
        web_ui: { url: '192.168.200.2', username: 'admin@internal', password: '123' },
      },
      items: { hosts: { total: 2, active: 1 }, vms: { total: 1, active: 0 } },
    });
  });
});
