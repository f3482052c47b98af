import { EngineError } from '../../../src-shared/errors.ts';
import { until } from '../core/until.ts';
import type { RunInHost } from './bridge.ts';

const RESTART_MS = 15_000;

/**
 * Checks that the dnsmasq of an active network is running, which libvirt does not monitor, and has libvirt restart it: libvirt does that
 * when it reloads its configuration (SIGHUP; VMs and networks are not touched). Returns whether it had to. For embedded hosts only, since
 * it expects the pid files of their libvirt.
 */
export async function reviveDnsmasq(run: RunInHost, network: string, signal: AbortSignal): Promise<boolean> {
  if (await dnsmasqLives(run, network, signal)) return false;
  const libvirtd = await pidIn(run, '/run/libvirtd.pid', signal);
  if (libvirtd === undefined) throw failed(network);
  await run(['kill', '-HUP', libvirtd], { signal });
  await until(async () => ((await dnsmasqLives(run, network, signal)) ? true : undefined), {
    everyMs: 100,
    timeoutMs: RESTART_MS,
    signal,
    failure: () => failed(network),
  });
  return true;
}

/** Whether the dnsmasq of a network runs, on an embedded host. */
export async function dnsmasqLives(run: RunInHost, network: string, signal: AbortSignal): Promise<boolean> {
  return await lives(run, dnsmasqPidFile(network), signal);
}

/** Where libvirt keeps the pid of the dnsmasq of a network, on an embedded host. */
export function dnsmasqPidFile(network: string): string {
  return `/run/libvirt/network/${network}.pid`;
}

function failed(network: string): EngineError {
  return new EngineError('host.unavailable', `The DHCP and DNS server of network ${network} stopped and cannot be restarted.`, {
    hint: 'Stop the environment and start it again.',
  });
}

async function lives(run: RunInHost, pidFile: string, signal: AbortSignal): Promise<boolean> {
  const pid = await pidIn(run, pidFile, signal);
  if (pid === undefined) return false;
  // A zombie has no command line.
  const { stdout } = await run(['cat', `/proc/${pid}/cmdline`], { signal });
  return stdout !== '';
}

async function pidIn(run: RunInHost, file: string, signal: AbortSignal): Promise<string | undefined> {
  const { code, stdout } = await run(['cat', file], { signal });
  return code === 0 && /^\d+$/.test(stdout.trim()) ? stdout.trim() : undefined;
}
