import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { createEmptyDisk } from '../disk/qemu-img.ts';
import type { Dial } from '../guest/dial.ts';
import type { Host } from '../host/host.ts';
import { fakeMemorySinks } from '../host/memory-sink.fake.ts';
import { createFakeHypervisor } from '../libvirt/hypervisor.fake.ts';
import { FakeFaults, libvirtError } from '../libvirt/hypervisor-faults.fake.ts';
import { FakeModel } from '../libvirt/hypervisor-model.fake.ts';
import { FakeMonitor } from '../libvirt/monitor.fake.ts';
import { createRegistry } from '../plugins/registry.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { type Prefix, writeSpecs } from '../prefix/prefix.ts';
import { writeRecord } from '../prefix/record.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostAccess, HostSession } from '../runtime/session.ts';

/** Uuid of the prefix created by `writePrefix`. */
export const UUID = 'aaaabbbbccccddddeeeeffff00001111';

const AGENT_UNRESPONSIVE = 86;

/** The private host of a prefix, in memory: a model of libvirt, and bridges that vanish when the host stops. */
export interface WorldHost {
  model: FakeModel;
  bridges: Set<string>;
  up: boolean;
  /** QEMU's monitor of its VMs. */
  monitor: FakeMonitor;
}

/** The host of the prefix of `writePrefix`, and those of its forks. */
export interface World extends WorldHost {
  context: RecipeContext;
  readonly faults: FakeFaults;
  /** Whether guests have an agent that answers. */
  agent: boolean;
  /** What that agent answers to a command (JSON); by default, nothing. */
  agentAnswers: (command: string) => string;
  /** How guests are reached; by default they are not. */
  dial: Dial;
  /** What every new QEMU cannot do; see `FakeMonitor`. */
  readonly lacks: Set<string>;
  describe(): unknown;
  /** The host of another prefix. */
  hostOf(prefix: Pick<Prefix, 'uuid'>): WorldHost;
}

interface RunningHost extends WorldHost {
  session: HostSession | undefined;
}

export function createWorld(): World {
  const faults = new FakeFaults();
  const others = new Map<string, RunningHost>();
  const newHost = (): Omit<RunningHost, 'session'> => {
    const model = new FakeModel();
    return { model, bridges: new Set(), up: false, monitor: new FakeMonitor(model, self.lacks) };
  };

  const describeHost = (of: WorldHost, socketDir: string): Host => ({
    kind: 'embedded',
    uri: 'fake:///',
    accelerator: 'tcg',
    uplink: 'none',
    dnsmasqAsRoot: true,
    socketDir,
    dial: async (...to) => await self.dial(...to),
    listen: async () => await Promise.reject(new Error('nobody listens here')),
    run: async (argv) => {
      // Every dnsmasq is running.
      if (argv[0] === 'cat') return await Promise.resolve({ code: 0, signal: null, stdout: '4711', stderr: '' });
      const [, action, verb, name = ''] = argv[1] === '-o' ? ['ip', 'show', 'show', argv[5]] : [argv[0], argv[1], argv[2], argv[3]];
      if (verb === 'add') of.bridges.add(name);
      if (verb === 'del') of.bridges.delete(name);
      const known = of.bridges.has(argv.includes('dev') ? (argv[argv.indexOf('dev') + 1] ?? '') : name);
      return await Promise.resolve({
        code: verb === 'show' && !known ? 1 : 0,
        signal: null,
        stdout: known ? name : '',
        stderr: action === '' ? '' : '',
      });
    },
  });
  const agent = (_domain: string, command: string): string => {
    if (!self.agent) throw libvirtError('Guest agent is not responding: QEMU guest agent is not connected', AGENT_UNRESPONSIVE);
    return self.agentAnswers(command);
  };
  const runningHost = ({ uuid }: Pick<Prefix, 'uuid'>): RunningHost => {
    if (uuid === UUID) return self;
    const host = others.get(uuid) ?? { ...newHost(), session: undefined };
    others.set(uuid, host);
    return host;
  };
  const hosts: HostAccess = {
    async open(prefix) {
      const here = runningHost(prefix);
      here.up = true;
      const socketDir = join(prefix.paths.host, 's');
      await mkdir(socketDir, { recursive: true });
      const { model, monitor } = here;
      here.session ??= {
        host: describeHost(here, socketDir),
        hypervisor: createFakeHypervisor({ model, faults, agent, monitor: (...asked) => monitor.command(...asked), realDisks: true }),
      };
      return here.session;
    },
    find: async (prefix) => {
      const { up, session } = runningHost(prefix);
      return await Promise.resolve(up ? session : undefined);
    },
    async stop(prefix) {
      const here = runningHost(prefix);
      here.model.powerOff();
      Object.assign(here, newHost(), { session: undefined });
      await rm(prefix.paths.host, { recursive: true, force: true });
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
  const lacks = new Set<string>();
  const model = new FakeModel();
  const self: World & RunningHost = {
    context: {
      hosts,
      settings: { host: 'embedded' } as EngineSettings,
      resourcesDir: '/nowhere',
      plugins: createRegistry(),
      openSinks: fakeMemorySinks,
    },
    faults,
    lacks,
    model,
    monitor: new FakeMonitor(model, lacks),
    bridges: new Set(),
    up: false,
    session: undefined,
    agent: true,
    agentAnswers: () => '{"return":{}}',
    dial: async () => await Promise.reject(new EngineError('guest.unreachable', 'Nobody answers.')),
    describe: () => ({ up: self.up, bridges: [...self.bridges], ...self.model.describe() }),
    hostOf: runningHost,
  };
  return self;
}

/** A folder for the test's environments, in memory where that is possible: what they write is waited for, again and again. */
export async function makeTestFolder(name: string): Promise<string> {
  const memory = '/dev/shm';
  return await mkdtemp(join(existsSync(memory) ? memory : tmpdir(), `lago-${name}-`));
}

export interface PrefixOptions {
  /** It has an internal snapshot, of no VM, and so goes on with such snapshots. */
  readonly internalSnapshots?: boolean;
}

/** Name of the snapshot of `internalSnapshots`. */
export const OLD_SNAPSHOT = 'old';

let emptyDisk: Promise<Buffer> | undefined;

async function makeEmptyDisk(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-disk-'));
  const path = join(folder, 'empty.qcow2');
  await createEmptyDisk({ path, format: 'qcow2', size: 1024 * 1024 });
  const content = await readFile(path);
  await rm(folder, { recursive: true });
  return content;
}

/** A prefix of two VMs with empty disks and two networks, ready and off. */
export async function writePrefix(root: string, options: PrefixOptions = {}): Promise<void> {
  const paths = prefixPaths(root);
  for (const path of [paths.root, paths.virt, paths.images, paths.logs, paths.scripts]) await mkdir(path, { recursive: true });
  await writeFile(paths.uuid, UUID);
  await writeFile(paths.initialized, '');
  await writeRecord(paths.record, {
    version: 3,
    phase: 'ready',
    host: { kind: 'embedded', uplink: 'none' },
    initFile: null,
    createdAt: 0,
    snapshots: options.internalSnapshots === true ? [{ name: OLD_SNAPSHOT, kind: 'internal', createdAt: 0, parent: null, vms: {} }] : [],
    current: null,
    pending: null,
  });
  emptyDisk ??= makeEmptyDisk();
  for (const vm of ['vm0', 'vm1']) await writeFile(join(paths.images, `${vm}_root.qcow2`), await emptyDisk);
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
