import { mkdir, writeFile } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import type { Dial } from '../guest/dial.ts';
import type { Host } from '../host/host.ts';
import { createFakeHypervisor } from '../libvirt/hypervisor.fake.ts';
import { FakeFaults, libvirtError } from '../libvirt/hypervisor-faults.fake.ts';
import { FakeModel } from '../libvirt/hypervisor-model.fake.ts';
import { createRegistry } from '../plugins/registry.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { writeSpecs } from '../prefix/prefix.ts';
import { writeRecord } from '../prefix/record.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostAccess, HostSession } from '../runtime/session.ts';

/** Uuid of the prefix created by `writePrefix`. */
export const UUID = 'aaaabbbbccccddddeeeeffff00001111';

const AGENT_UNRESPONSIVE = 86;

/** A private host in memory: a model of libvirt, and bridges that vanish when the host stops. */
export interface World {
  context: RecipeContext;
  readonly faults: FakeFaults;
  model: FakeModel;
  bridges: Set<string>;
  up: boolean;
  /** Whether guests have an agent that answers. */
  agent: boolean;
  /** What that agent answers to a command (JSON); by default, nothing. */
  agentAnswers: (command: string) => string;
  /** How guests are reached; by default they are not. */
  dial: Dial;
  describe(): unknown;
}

export function createWorld(): World {
  const faults = new FakeFaults();
  let session: HostSession | undefined;
  const host: Host = {
    kind: 'embedded',
    uri: 'fake:///',
    accelerator: 'tcg',
    uplink: 'none',
    dnsmasqAsRoot: true,
    socketDir: '/run/fake',
    dial: async (...to) => await self.dial(...to),
    listen: async () => await Promise.reject(new Error('nobody listens here')),
    run: async (argv) => {
      // Every dnsmasq is running.
      if (argv[0] === 'cat') return await Promise.resolve({ code: 0, signal: null, stdout: '4711', stderr: '' });
      const [, action, verb, name = ''] = argv[1] === '-o' ? ['ip', 'show', 'show', argv[5]] : [argv[0], argv[1], argv[2], argv[3]];
      if (verb === 'add') self.bridges.add(name);
      if (verb === 'del') self.bridges.delete(name);
      const known = self.bridges.has(argv.includes('dev') ? (argv[argv.indexOf('dev') + 1] ?? '') : name);
      return await Promise.resolve({
        code: verb === 'show' && !known ? 1 : 0,
        signal: null,
        stdout: known ? name : '',
        stderr: action === '' ? '' : '',
      });
    },
  };
  const agent = (_domain: string, command: string): string => {
    if (!self.agent) throw libvirtError('Guest agent is not responding: QEMU guest agent is not connected', AGENT_UNRESPONSIVE);
    return self.agentAnswers(command);
  };
  const hosts: HostAccess = {
    async open() {
      self.up = true;
      session ??= { host, hypervisor: createFakeHypervisor({ model: self.model, faults, agent }) };
      return await Promise.resolve(session);
    },
    find: async () => await Promise.resolve(self.up ? session : undefined),
    async stop() {
      self.up = false;
      session = undefined;
      self.model = new FakeModel();
      self.bridges = new Set();
      await Promise.resolve();
    },
    summary: (_, open, problem = null) => ({
      kind: 'embedded',
      uri: 'fake:///',
      status: problem !== null ? 'unusable' : open === undefined ? 'down' : 'up',
      accelerator: 'tcg',
      uplink: 'none',
      problem,
    }),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  const self: World = {
    context: { hosts, settings: { host: 'embedded' } as EngineSettings, resourcesDir: '/nowhere', plugins: createRegistry() },
    faults,
    model: new FakeModel(),
    bridges: new Set(),
    up: false,
    agent: true,
    agentAnswers: () => '{"return":{}}',
    dial: async () => await Promise.reject(new EngineError('guest.unreachable', 'Nobody answers.')),
    describe: () => ({ up: self.up, bridges: [...self.bridges], ...self.model.describe() }),
  };
  return self;
}

/** A prefix of two VMs and two networks, ready and off. */
export async function writePrefix(root: string): Promise<void> {
  const paths = prefixPaths(root);
  for (const path of [paths.root, paths.virt, paths.images, paths.logs]) await mkdir(path, { recursive: true });
  await writeFile(paths.uuid, UUID);
  await writeFile(paths.initialized, '');
  await writeRecord(paths.record, {
    version: 3,
    phase: 'ready',
    host: { kind: 'embedded', uplink: 'none' },
    initFile: null,
    createdAt: 0,
    snapshots: [],
    current: null,
    pending: null,
  });
  const disk = (vm: string): object => ({ name: 'root', dev: 'vda', format: 'qcow2', path: `$LAGO_PREFIX_PATH/images/${vm}_root.qcow2` });
  await writeSpecs(paths, {
    nets: [
      NetSpec.parse({
        name: 'net0',
        type: 'nat',
        gw: '192.168.200.1',
        management: true,
        dhcp: { start: 100, end: 254 },
        mapping: { vm0: '192.168.200.2' },
      }),
      NetSpec.parse({ name: 'net1', type: 'bridge' }),
    ],
    vms: [
      VmSpec.parse({
        name: 'vm0',
        memory: 256,
        vcpu: 1,
        mgmt_net: 'net0',
        nics: [{ net: 'net0', ip: '192.168.200.2' }, { net: 'net1' }],
        disks: [disk('vm0')],
      }),
      VmSpec.parse({
        name: 'vm1',
        memory: 256,
        vcpu: 1,
        mgmt_net: 'net0',
        nics: [{ net: 'net0', ip: '192.168.200.3' }],
        disks: [disk('vm1')],
      }),
    ],
  });
}
