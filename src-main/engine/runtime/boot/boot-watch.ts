import type { BootStageId } from '../../../../src-shared/boot.ts';
import { waitingStage } from '../../../../src-shared/boot.ts';
import type { NetSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { sleep } from '../../core/until.ts';
import { childrenXml, findXml, readXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { type BootSources, BootWatch, type BootWatchOptions } from '../../guest/boot/boot-watch.ts';
import type { Surroundings } from '../../guest/boot/facts.ts';
import type { HostLogs } from '../../host/host.ts';
import { nicMac } from '../../libvirt/xml/domain-xml.ts';
import { networkName } from '../../libvirt/xml/network-xml.ts';
import { dnsmasqLives } from '../../net/dnsmasq.ts';
import { domainName, type Prefix, vmAddress } from '../../prefix/prefix.ts';
import { LOCAL_LOGS, serialLogPath } from '../console/serial-log.ts';
import type { HostSession } from '../session.ts';
import { type BootRecord, readBootRecord } from './boot-record.ts';

/** Enough for the messages of any boot. */
const CONSOLE_BYTES = 1024 * 1024;
const LEASE_EVERY_MS = 1500;
/** A guest without news for this long is looked at more closely. */
const QUIET_MS = 8000;
const GUEST_AGENT = 'org.qemu.guest_agent.0';

/** Watches a running VM of an environment: not begun yet (see `BootWatch.begin` and `readOnce`). */
export async function watchBoot(session: HostSession, prefix: Prefix, vm: VmSpec, options: BootWatchOptions): Promise<BootWatch> {
  const record = await readBootRecord(prefix.paths, vm.name);
  const address = vmAddress(prefix.specs, vm) ?? undefined;
  const index = vm.nics.findIndex((nic) => nic.ip === address);
  const net = prefix.specs.nets.find(({ name }) => name === vm.nics[index]?.net);
  const subject = {
    vm: vm.name,
    user: vm['ssh-user'],
    address,
    network: net?.name,
    startedAt: record?.startedAt,
    continued: record?.continued ?? false,
    cloudInit: vm.disks.some((disk) => disk.name === 'cloud-init' && disk.readonly === true),
  };
  const sources: BootSources = {
    serial:
      record === undefined
        ? undefined
        : (signal) => serialOutput(session.host.logs, serialLogPath(prefix.paths, vm.name), record, options.once === true, signal),
    dhcp: net?.dhcp === undefined ? undefined : dhcpOf(session, prefix, vm, { index, net }, options.once === true),
    around: async (state, quietMs, signal) => {
      const stage = waitingStage(state)?.id;
      return await lookAround(session, prefix, vm, { net, address, stage: quietMs < QUIET_MS ? undefined : stage }, signal);
    },
  };
  return new BootWatch(subject, sources, options);
}

async function* serialOutput(
  logs: HostLogs = LOCAL_LOGS,
  path: string,
  record: BootRecord,
  once: boolean,
  signal: AbortSignal,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly fresh: boolean }> {
  const tail = await logs.tail(path, CONSOLE_BYTES);
  const { inode, offset } = record.console;
  if (tail !== undefined) {
    const since = tail.end.inode === inode ? tail.end.offset - offset : tail.bytes.length;
    yield { bytes: tail.bytes.subarray(Math.max(0, tail.bytes.length - since)), fresh: false };
  }
  if (once) return;
  for await (const bytes of logs.follow(path, tail?.end ?? { inode: 0, offset: 0 }, signal)) yield { bytes, fresh: true };
}

function dhcpOf(
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  nic: { readonly index: number; readonly net: NetSpec },
  once: boolean,
): BootSources['dhcp'] {
  const { index, net } = nic;
  const spec = vm.nics[index];
  if (spec === undefined) return undefined;
  const mac = nicMac(prefix.uuid, vm.name, index, spec);
  if (session.host.kind !== 'system') {
    return { mac, log: (signal) => dhcpMessages(session.host.logs, prefix.paths.dhcpLog(net.name), once, signal) };
  }
  const lease = async (signal: AbortSignal): Promise<string | undefined> => {
    for (;;) {
      const leases = await session.hypervisor.networkLeases(networkName(prefix.uuid, net.name), { signal });
      const found = leases.find((candidate) => candidate.mac.toLowerCase() === mac.toLowerCase());
      if (found !== undefined || once) return found?.ip;
      await sleep(LEASE_EVERY_MS, signal);
    }
  };
  return { mac, lease };
}

async function* dhcpMessages(logs: HostLogs = LOCAL_LOGS, path: string, once: boolean, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const tail = await logs.tail(path, CONSOLE_BYTES);
  if (tail !== undefined) yield tail.bytes;
  if (!once) yield* logs.follow(path, tail?.end ?? { inode: 0, offset: 0 }, signal);
}

interface Place {
  readonly net: NetSpec | undefined;
  readonly address: string | undefined;
  /** The stage that takes long; undefined when none does. */
  readonly stage: BootStageId | undefined;
}

/** The link state is one quick call; programs are only run in the host for a guest that hangs. */
async function lookAround(session: HostSession, prefix: Prefix, vm: VmSpec, place: Place, signal: AbortSignal): Promise<Surroundings> {
  const { hypervisor, host } = session;
  const { net, address, stage } = place;
  const domain = domainName(prefix.uuid, vm.name);
  const addressing = stage === 'address-asked' || stage === 'address-given';
  const [xml, status, dhcpServer, neighbour] = await Promise.all([
    hypervisor.domainXml(domain, {}, { signal }),
    hypervisor.findDomain(domain, { signal }),
    addressing && net !== undefined && host.kind !== 'system'
      ? dnsmasqLives(host.run, networkName(prefix.uuid, net.name), signal)
      : undefined,
    stage === 'ssh' && address !== undefined ? isNeighbour(session, address, signal) : undefined,
  ]);
  const devices = findXml(readXml(xml, { what: 'The description of a VM' }), 'devices') ?? readXml('<none/>');
  const suspended = status?.state === 'paused';
  return { linksDown: linksDown(devices), dhcpServer, neighbour, suspended, agent: agentAnswers(devices) };
}

/** libvirt knows whether the guest has opened the agent's channel. */
function agentAnswers(devices: XmlElement): boolean {
  const targets = childrenXml(devices, 'channel').flatMap((channel) => findXml(channel, 'target') ?? []);
  return targets.some(({ attributes }) => attributes.get('name') === GUEST_AGENT && attributes.get('state') === 'connected');
}

function linksDown(devices: XmlElement): readonly string[] {
  return childrenXml(devices, 'interface')
    .map((card, index) => ({ name: `eth${index}`, down: findXml(card, 'link')?.attributes.get('state') === 'down' }))
    .filter(({ down }) => down)
    .map(({ name }) => name);
}

/** Whether anybody on the host's networks has answered for this address. */
async function isNeighbour({ host }: HostSession, address: string, signal: AbortSignal): Promise<boolean | undefined> {
  const { code, stdout } = await host.run(['ip', 'neigh', 'show', address], { signal });
  return code === 0 ? stdout.includes('lladdr') : undefined;
}
