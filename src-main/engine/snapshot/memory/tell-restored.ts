import { z } from 'zod';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { Log } from '../../core/log.ts';
import { until } from '../../core/until.ts';
import { tellSeed } from '../../runtime/guest-seed.ts';
import { tellTime } from '../../runtime/guest-time.ts';
import type { HostSession } from '../../runtime/session.ts';

/** libvirt's name of the channel to the agent, with QEMU's prefix of such names. */
const CHANNEL = 'charchannel0';
const CONNECTED = /<target type='virtio' name='org\.qemu\.guest_agent\.0' state='connected'\/>/;
/** libvirt connects in some milliseconds. */
const CONNECT_MS = 3000;

const Chardevs = z.object({ return: z.array(z.object({ label: z.string(), 'frontend-open': z.boolean() })) });

/**
 * Tells a guest that goes on from kept memory the time, and with `seed` a new random seed, by its agent; see `tellTime` and `tellSeed`. One
 * whose agent ran when its memory was kept has it at once, but libvirt connects to it only a moment after the VM is there.
 */
export async function tellRestored(
  session: HostSession,
  domain: string,
  { seed }: { readonly seed: boolean },
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    await agentConnects(session, domain, signal);
  } catch (error) {
    // Its clock is all that is wrong then.
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    log.debug(error.message);
  }
  if (seed) await tellSeed(session, domain, log, signal);
  await tellTime(session, domain, log, signal);
}

/** Waits until libvirt has connected to the agent, if the guest has one that listens. */
async function agentConnects({ hypervisor }: HostSession, domain: string, signal: AbortSignal): Promise<void> {
  const chardevs = Chardevs.parse(JSON.parse(await hypervisor.monitorCommand(domain, '{"execute":"query-chardev"}', { signal }))).return;
  if (!chardevs.some((one) => one.label === CHANNEL && one['frontend-open'])) return;
  await until(async () => CONNECTED.test(await hypervisor.domainXml(domain, {}, { signal })) || undefined, {
    everyMs: 10,
    timeoutMs: CONNECT_MS,
    signal,
    failure: () => new EngineError('hypervisor.failed', `libvirt does not connect to the agent of ${domain}.`),
  });
}
