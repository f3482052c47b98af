import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VmSpec } from '../../../../src-shared/specs.ts';
import { startOperation } from '../../core/operation.ts';
import type { ExecRequest } from '../../runtime/shell-request.ts';
import { runAction } from './actions.ts';
import { type EngineServer, startEngineServer } from './engine/engine-server.test-support.ts';
import { type FakeHosts, fakeHosts } from './engine/hosted-hosts.test-support.ts';
import { type FakeCall, fakeCall } from './verb-call.test-support.ts';

const vm = (name: string, type: string): VmSpec =>
  VmSpec.parse({ name, 'vm-type': type, mgmt_net: 'n', nics: [{ net: 'n', ip: '192.168.200.2' }] });

let server: EngineServer;
beforeAll(async () => {
  server = await startEngineServer(4);
}, 60_000);
afterAll(async () => await server[Symbol.asyncDispose]());

/** What was asked of the environment's own engine. */
let done: string[];
/** Exit codes of commands in the VM, by their beginning; 0 for others. */
let codes: Readonly<Record<string, number>>;
/** The hosts of a hosted engine. */
let hosts: FakeHosts;
beforeEach(() => {
  done = [];
  codes = {};
  server.asked.length = 0;
  server.collections['hosts'] = [{ id: 'h1', name: 'host-0', status: 'maintenance', next: ['up'] }];
  server.collections['vms'] = [];
  server.collections['data_centers'] = [];
  server.collections['clusters'] = [{ id: 'c1', name: 'Default', status: '', cpu: 'Intel Conroe Family', level: '4.2' }];
  hosts = fakeHosts(['host-0', 'host-1']);
});

function note(what: string): ReturnType<typeof startOperation> {
  return startOperation({ kind: 'plugin', label: what }, async () => {
    done.push(what);
    return await Promise.resolve({ folder: '/collected' });
  });
}

const engine = {
  prefix: {
    start: () => note('start'),
    shutdown: () => note('shutdown'),
    deploy: () => note('deploy'),
    collect: (_path: string, { output }: { output: string }) => note(`collect ${output}`),
  },
  vm: {
    connect: async () => await server.open(),
    connectFrom: async (_path: string, { vm: name, host, port }: { vm: string; host: string; port: number }) => {
      done.push(`${host}:${port} by ${name}`);
      return await server.open();
    },
    processor: async () => await Promise.resolve({ model: 'SandyBridge-IBRS', vendor: 'Intel' }),
    copyTo: (_path: string, { local, remote }: { local: string; remote: string }) => note(`copy ${local} ${remote}`),
    service: async (_path: string, name: string, service: string) => {
      done.push(`${service} on ${name}`);
      return await Promise.resolve({ state: async () => await Promise.resolve('active') });
    },
    exec: async (_path: string, { vm: name, command, onStdout }: ExecRequest) => {
      if (name in hosts.vms) return await Promise.resolve(hosts.run(name, command, server.authority));
      if (!command.startsWith('cat ')) done.push(command);
      onStdout?.(Buffer.from('Stage: Setup\n'));
      const code = Object.entries(codes).find(([start]) => command.startsWith(start))?.[1] ?? 0;
      return await Promise.resolve({ code, stdout: server.authority, stderr: 'no such domain' });
    },
  },
};

const ALL = [vm('engine', 'ovirt-engine'), vm('host', 'ovirt-host'), vm('node', 'ovirt-node')];

function call(values: FakeCall['call']['values'], vms: readonly VmSpec[] = ALL): FakeCall {
  return fakeCall({ prefix: '/env/default', engine, values, specs: { vms, nets: [] } });
}

describe('lago ovirt', () => {
  it('start brings up VMs, services, hosts', async () => {
    const { call: started, shown, printed } = call({ action: 'start', with_vms: true });
    expect(await runAction(started)).toBe(0);
    expect(done).toEqual(['start', 'ovirt-engine on engine', 'vdsmd on host']);
    expect(server.asked).toContain('POST /ovirt-engine/api/hosts/h1/activate');
    expect(shown.filter((line) => line.startsWith('> '))).toEqual([
      '> Waiting for ovirt-engine status',
      '> Waiting for vdsmd status',
      '> host',
      '> Updating Clusters CPU',
      '> Activating Engine Hosts',
      '> Waiting for Storage domains to be in active mode',
      '> Starting Engine VMs',
    ]);
    expect(server.collections['clusters']?.[0]?.cpu).toBe('Intel SandyBridge-IBRS Family');
    expect(printed).toEqual(['Web UI: https://192.168.200.2\nUsername: admin\nPassword: 123']);
  });

  it('start says that oVirt does not have the processor', async () => {
    server.collections['clusters'] = [{ id: 'c1', name: 'Default', status: '', level: '4.7' }];
    const hostless = [
      vm('engine', 'ovirt-engine'),
      VmSpec.parse({ name: 'host', 'vm-type': 'ovirt-host', metadata: { 'ovirt-cpu-map': { AMD: {} } } }),
    ];
    await expect(runAction(call({ action: 'start' }, hostless).call)).rejects.toMatchObject({
      message: 'Unsupported CPU vendor: Intel. Supported vendors: AMD.',
    });
    expect(server.asked.filter((one) => one.startsWith('POST'))).toEqual([]);
  });

  it('cpu-family prints the CPU type of a host, in the words of a version', async () => {
    const { call: asked, printed } = call({ action: 'cpu-family' });
    expect(await runAction(asked)).toBe(0);
    const { call: named, printed: older } = call({ action: 'cpu-family', args: ['node'], engine_version: '3.6' });
    expect(await runAction(named)).toBe(0);
    expect([...printed, ...older]).toEqual(['Intel SandyBridge-IBRS Family', 'Intel Conroe Family']);
  });

  it('stop puts hosts into maintenance and shuts down', async () => {
    server.collections['hosts'] = [{ id: 'h1', name: 'host-0', status: 'up', next: ['maintenance'] }];
    expect(await runAction(call({ action: 'stop' }).call)).toBe(0);
    expect(server.asked).toContain('POST /ovirt-engine/api/hosts/h1/deactivate');
    expect(done).toEqual(['shutdown']);
  });

  describe('with a hosted engine', () => {
    const HOSTED = [vm('host-0', 'ovirt-he-host'), vm('host-1', 'ovirt-he-host')];

    it('start starts it, and stop shuts it down under global maintenance', async () => {
      hosts.maintenance = true;
      hosts.vms['host-1'] = 'up';
      const { call: started, shown, printed } = call({ action: 'start' }, HOSTED);
      expect(await runAction(started)).toBe(0);
      expect(done).toEqual(['start', 'vdsmd on host-0', 'vdsmd on host-1', 'engine.lago.local:443 by host-0']);
      expect(hosts.asked).toEqual(['host-0: --set-maintenance --mode=none']);
      expect(shown.filter((line) => line.startsWith('> '))).toEqual([
        '> Waiting for vdsmd status',
        '> host-0',
        '> host-1',
        '> Starting the hosted engine',
        '> Leaving global maintenance',
        '> Updating Clusters CPU',
        '> Activating Engine Hosts',
      ]);
      expect(printed).toEqual(['Web UI: https://engine.lago.local\nUsername: admin\nPassword: 123']);

      done.length = 0;
      hosts.asked.length = 0;
      server.collections['vms'] = [{ id: 'v1', name: 'HostedEngine', status: 'up', host: 'h1' }];
      expect(await runAction(call({ action: 'stop' }, HOSTED).call)).toBe(0);
      expect(hosts.asked).toEqual(['host-0: --set-maintenance --mode=global', 'host-1: --vm-shutdown']);
      expect(server.collections['hosts']?.[0]?.status).toBe('up');
      expect(done).toEqual(['engine.lago.local:443 by host-0', 'shutdown']);
      expect(await runAction(call({ action: 'stop' }, HOSTED).call)).toBe(0);
    });

    it('status shows its health, and what the engine says while it is good', async () => {
      hosts.vms['host-1'] = 'up';
      const { call: asked, printed } = call({ action: 'status' }, [
        VmSpec.parse({ ...vm('engine', 'ovirt-engine'), 'vm-provider': 'ssh' }),
        ...HOSTED,
      ]);
      expect(await runAction(asked)).toBe(0);
      const good = { vm: 'up', health: 'good', host: 'host-1' };
      expect(printed).toMatchObject([{ global: { web_ui: { url: '192.168.200.2' } }, hosted_engine: good }]);
      hosts.health = 'bad';
      expect(await runAction(asked)).toBe(0);
      expect(printed[1]).toMatchObject({ hosted_engine: { vm: 'up', health: 'bad', host: 'host-1', global_maintenance: false } });
      expect(printed[1]).not.toHaveProperty('global');
    });

    it('what is done inside the engine’s VM is refused', async () => {
      for (const values of [
        { action: 'engine-setup', config: 'answers' },
        { action: 'add-iso', args: ['a.iso'] },
      ]) {
        await expect(runAction(call(values, HOSTED).call)).rejects.toMatchObject({
          code: 'not-available',
          message: expect.stringContaining('the engine is hosted, in a VM inside host-0, host-1.') as string,
        });
      }
    });
  });

  it('status prints what the engine says', async () => {
    const { call: asked, printed } = call({ action: 'status' });
    expect(await runAction(asked)).toBe(0);
    expect(printed).toMatchObject([{ global: { version: '4.2.8.2-1.el7', web_ui: { url: '192.168.200.2' } } }]);
  });

  it('engine-setup runs with the answers, and shows what it says', async () => {
    const { call: asked, shown } = call({ action: 'engine-setup', config: 'answers' });
    expect(await runAction(asked)).toBe(0);
    expect(done).toEqual(['copy /env/default/answers engine-answer-file', 'engine-setup --config-append=engine-answer-file']);
    expect(shown).toContain('info: Stage: Setup');
    codes = { 'engine-setup': 1 };
    await expect(runAction(asked)).rejects.toMatchObject({ message: expect.stringContaining('Failed to setup the engine') as string });
  });

  it('add-iso uploads an image and removes the copy, whatever its name', async () => {
    const { call: asked } = call({ action: 'add-iso', args: ["/iso/a 'b.iso"] });
    codes = { 'ovirt-iso-uploader': 1 };
    await expect(runAction(asked)).rejects.toMatchObject({ message: 'Failed to upload iso to ovirt: no such domain' });
    expect(done.at(-1)).toBe("rm -f './a '\\''b.iso'");
    expect(done.at(-2)).toBe("ovirt-iso-uploader --conf-file=/root/iso-uploader.conf --insecure './a '\\''b.iso'");
  });

  it('deploy and collect are those of lago', async () => {
    expect(await runAction(call({ action: 'deploy' }).call)).toBe(0);
    const { call: asked, shown } = call({ action: 'collect', output: 'logs' });
    expect(await runAction(asked)).toBe(0);
    expect(done).toEqual(['deploy', 'collect /env/default/logs']);
    expect(shown).toContain("warn: 'lago ovirt collect' is deprecated, redirecting to 'lago collect'");
  });

  it.each<[FakeCall['call']['values'], readonly VmSpec[], string, string]>([
    [{ action: 'status' }, [vm('web', 'default')], 'vm.missing', 'The environment default has no VM of type ovirt-engine.'],
    [{ action: 'engine-setup' }, ALL, 'input.usage', 'ovirt engine-setup: --config FILE is missing.'],
    [{ action: 'collect' }, ALL, 'input.usage', 'ovirt collect: --output DIR is missing.'],
    [{ action: 'stop', with_vms: true }, ALL, 'input.usage', 'argument --with-vms: only "ovirt start" has it.'],
    [{ action: 'cpu-family', engine_version: 'new' }, ALL, 'input.usage', 'argument --engine-version: "new" is no version.'],
    [{ action: 'cpu-family', args: ['a', 'b'] }, ALL, 'input.usage', 'ovirt cpu-family: there is too much: b.'],
    [{ action: 'stop', args: ['x'] }, ALL, 'input.usage', 'ovirt stop: there is too much: x.'],
  ])('%j is an error', async (values, vms, code, message) => {
    await expect(runAction(call(values, vms).call)).rejects.toMatchObject({ code, message });
  });

  it('says that an engine is not set up', async () => {
    codes = { cat: 1 };
    await expect(runAction(call({ action: 'start-hosts' }).call)).rejects.toMatchObject({
      message: 'Failed to connect to the engine: VM engine has no /etc/pki/ovirt-engine/ca.pem.',
    });
  });
});
