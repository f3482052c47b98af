import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { Log } from '../../core/log.ts';
import { until } from '../../core/until.ts';
import { BOOT_SECTOR_EXIT, bootSector } from '../boot-sector.ts';
import { CellFacts } from '../embedded/cell.ts';
import { askLibvirt } from '../embedded/libvirt-answers.ts';
import { dialThroughRelay, listenThroughRelay } from '../embedded/relay.ts';
import { runtimeRoot } from '../embedded/runtime-dir.ts';
import { chooseUplink, type UplinkKind } from '../embedded/uplink.ts';
import type { RemoteHost, RemoteHostSpec } from '../host.ts';
import { bootArguments } from '../kvm.ts';
import { remoteLogs } from './logs.ts';
import { FAR_NO, farError, type RemoteMachine, remoteMachine } from './machine.ts';

/** How long an ordinary answer of the machine may take before it counts as lost. */
const ANSWER_MS = 15_000;
const START_MS = 60_000;
/** On a busy machine QEMU may take long to tell what it is able to. */
const READY_MS = 30_000;

/** Debian's packages for what may be missing on a machine. */
const PACKAGES: Readonly<Record<string, string>> = {
  node: 'nodejs',
  libvirtd: 'libvirt-daemon',
  virtlogd: 'libvirt-daemon',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  dnsmasq: 'dnsmasq-base',
  iptables: 'iptables',
  ip: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setsid: 'util-linux',
  flock: 'util-linux',
  setpriv: 'util-linux',
  timeout: 'coreutils',
  tar: 'tar',
};

/** What a machine says about itself. */
export interface MachineFacts {
  /** Folder with everything that environments keep there. */
  readonly data: string;
  /** The program by which VMs can reach the outside. */
  readonly uplink: UplinkKind;
}

/** An environment's place on another machine: its files and its host there. */
export interface RemotePlace {
  readonly machine: RemoteMachine;
  /** Asks the machine what it has. `host.missing-tool` naming everything that is missing there at once; the errors of ssh. */
  check(signal?: AbortSignal): Promise<MachineFacts>;
  /** The running host; undefined when it is down. `host.unusable` when the machine does not answer: its VMs may be running. */
  find(signal?: AbortSignal): Promise<RemoteHost | undefined>;
  /** Starts the host, or finds the running one; once this resolves, libvirt is ready. The files must be there. */
  start(log: Log, signal?: AbortSignal): Promise<RemoteHost>;
  /** Ends the host with everything in it, without asking libvirt, and the connection. */
  stop(): Promise<void>;
  /** Ends the host and removes the environment's files there. */
  remove(): Promise<void>;
}

/** The place of an environment. Nothing is connected until it is used; `resourcesDir` contains the scripts in `host`. */
export function remotePlace(spec: RemoteHostSpec, options: { readonly resourcesDir: string; readonly log: Log }): RemotePlace {
  const folder = join(runtimeRoot(), `far-${spec.id.slice(0, 12)}`);
  const machine = remoteMachine(spec.uri, { folder, scripts: join(options.resourcesDir, 'host') });

  /** A lost machine says nothing about its VMs. */
  async function ask(verb: readonly string[], signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      const result = await machine.far([...verb, spec.id], { timeoutMs: ANSWER_MS, signal });
      if (result.code === FAR_NO) return undefined;
      if (result.code !== 0) throw farError(machine, 'The environment’s host cannot be reached', result);
      return result.stdout;
    } catch (error) {
      if (isCancelled(error) || !(error instanceof EngineError) || !['host.unavailable', 'host.denied'].includes(error.code)) throw error;
      throw new EngineError('host.unusable', `The machine ${machine.name} cannot be asked for the environment: ${error.message}`, {
        cause: error,
        details: { ...error.details, reason: 'machine' },
        hint: `${error.hint ?? `Check that "ssh ${machine.name} true" works.`} VMs that run there go on.`,
      });
    }
  }

  async function attach(answer: string, log: Log, signal: AbortSignal | undefined): Promise<RemoteHost> {
    const [runtimeDir = '', pid, facts = ''] = answer.split('\n');
    const near = { libvirt: join(folder, 'libvirt.sock'), relay: join(folder, 'relay.sock') };
    const far = new Map([
      [near.libvirt, `${runtimeDir}/libvirt/libvirt-sock`],
      [near.relay, `${runtimeDir}/relay.sock`],
    ]);
    await machine.forward(far, signal);
    return hostOf({ spec, machine, folder, near, runtimeDir, pid: Number(pid), facts: CellFacts.parse(JSON.parse(facts)), log });
  }

  const place: RemotePlace = {
    machine,
    async check(signal) {
      const result = await machine.far(['check'], { timeoutMs: ANSWER_MS, signal });
      if (result.code !== 0) throw farError(machine, 'The check failed', result);
      return readCheck(result.stdout, machine.name);
    },
    async find(signal) {
      const answer = await ask(['find'], signal);
      return answer === undefined ? undefined : await attach(answer, options.log, signal);
    },
    async start(log, signal) {
      const known = await ask(['find'], signal);
      if (known !== undefined) return await attach(known, log, signal);
      const { uplink: way } = await place.check(signal);
      const uplink = chooseUplink(spec.uplink === 'none' ? 'none' : way, process.env, log);
      const accelerator = await findFarAccelerator(machine, spec.accelerator, signal);
      const facts: CellFacts = { version: 1, id: spec.id, stateDir: spec.id, uplink: uplink.kind, accelerator };
      const hostname = `lago-${spec.id.slice(0, 12)}`;
      const verb = ['start', spec.id, spec.prefix, hostname, JSON.stringify(facts), uplink.kind, uplink.nameServer, ...uplink.args];
      const result = await machine.far(verb, { timeoutMs: START_MS, signal });
      if (result.code !== 0) throw farError(machine, 'The environment’s host did not start', result);
      const host = await attach(result.stdout, log, signal);
      await whenReady(join(folder, 'libvirt.sock'), machine.name, signal);
      return host;
    },
    async stop() {
      await ask(['stop'], undefined);
      await machine.close();
    },
    async remove() {
      await ask(['remove'], undefined);
      await machine.close();
    },
  };
  return place;
}

/** Reads what `far.sh check` prints. `host.missing-tool` with everything that is missing. */
export function readCheck(text: string, machine: string): MachineFacts {
  const line = (name: string): string => new RegExp(`^${name} ?(.*)$`, 'm').exec(text)?.[1] ?? '';
  const missing = line('missing').split(' ').filter(Boolean);
  if (missing.length > 0) {
    const packages = [...new Set(missing.flatMap((name) => PACKAGES[name] ?? []))];
    const others = missing.filter((name) => PACKAGES[name] === undefined);
    const install = packages.length === 0 ? '' : `Install it there, on Debian: sudo apt install ${packages.join(' ')}. `;
    const allow = others.length === 0 ? '' : `Your user there must be able to use: ${others.join(', ')}.`;
    throw new EngineError('host.missing-tool', `The machine ${machine} lacks what environments need: ${missing.join(', ')}.`, {
      details: { machine, missing: missing.join(' ') },
      hint: `${install}${allow}`.trim(),
    });
  }
  const uplink = line('uplink');
  return { data: line('data'), uplink: uplink === 'pasta' || uplink === 'slirp4netns' ? uplink : 'none' };
}

async function findFarAccelerator(
  machine: RemoteMachine,
  wanted: RemoteHostSpec['accelerator'],
  signal: AbortSignal | undefined,
): Promise<'kvm' | 'tcg'> {
  if (wanted !== 'auto') return wanted;
  const argv = bootArguments('kvm', 'qemu-system-x86_64');
  const { code } = await machine.far(['boots', ...argv], { input: bootSector(), timeoutMs: ANSWER_MS, signal });
  return code === BOOT_SECTOR_EXIT ? 'kvm' : 'tcg';
}

async function whenReady(socket: string, machine: string, signal: AbortSignal | undefined): Promise<void> {
  await until(
    async () => {
      const answer = await askLibvirt(socket, 2000);
      if (answer === 'ready') return true;
      if (answer === 'not-yet') return undefined;
      throw new EngineError('host.unavailable', `libvirt does not work privately on ${machine}: ${answer.refused}`);
    },
    {
      everyMs: 50,
      timeoutMs: READY_MS,
      signal,
      failure: () => new EngineError('host.unavailable', `libvirt on ${machine} did not answer within ${READY_MS / 1000} s.`),
    },
  );
}

interface Attached {
  readonly spec: RemoteHostSpec;
  readonly machine: RemoteMachine;
  /** Folder of the sockets on this side. */
  readonly folder: string;
  readonly near: { readonly libvirt: string; readonly relay: string };
  /** Folder of the sockets on the far side. */
  readonly runtimeDir: string;
  readonly pid: number;
  readonly facts: CellFacts;
  readonly log: Log;
}

function hostOf({ spec, machine, folder, near, runtimeDir, pid, facts, log }: Attached): RemoteHost {
  const endpoint = { socketPath: near.relay, alive: () => existsSync(join(folder, 'ssh')), repair: () => undefined };
  return {
    kind: 'remote',
    uri: `qemu:///system?socket=${near.libvirt}`,
    accelerator: facts.accelerator,
    uplink: facts.uplink,
    dnsmasqAsRoot: true,
    socketDir: `${runtimeDir}/vnc`,
    pid,
    logs: remoteLogs(machine, spec.id, (path) => relative(spec.prefix, path)),
    async nearSocket(path, signal) {
      const here = join(folder, path.slice(path.lastIndexOf('/') + 1));
      await machine.forward(new Map([[here, path]]), signal);
      return here;
    },
    dial: (address, port, options) => dialThroughRelay(endpoint, address, port, options),
    async listen(address, port, onConnection) {
      const name = `l${randomBytes(4).toString('hex')}.sock`;
      const path = join(folder, name);
      const farPath = `${runtimeDir}/${name}`;
      await machine.forwardBack(farPath, path);
      return await listenThroughRelay(endpoint, { address, port, path, farPath }, onConnection, log);
    },
    async run(argv, options = {}) {
      const { cwd, env = {}, ...rest } = options;
      const variables = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
      const words = ['env', 'LC_ALL=C', ...(cwd === undefined ? [] : [`--chdir=${cwd}`]), ...variables];
      return await machine.far(['run', spec.id, ...words, ...argv], rest);
    },
  };
}
