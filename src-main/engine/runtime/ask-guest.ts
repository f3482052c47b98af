import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { sleep } from '../core/until.ts';
import type { DomainStatus } from '../libvirt/hypervisor.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import { connectGuest } from './access.ts';
import type { RecipeContext } from './recipe.ts';
import type { HostSession } from './session.ts';

/** What a guest is asked to do. */
export type Wish = 'shut down' | 'reboot';

export interface AskLimits {
  /** ms since the epoch at which the guest has had time enough. */
  readonly deadline: number;
  /** Ends the wait before the deadline. */
  readonly hurried?: AbortSignal | undefined;
  /** How long a guest that was asked in one way may take before it is asked in the next. */
  readonly patienceMs: number;
}

/** How long guests may take before they are asked again, in another way. One that is going down takes no harm from it. */
export const PATIENCE_MS = 10_000;

/** A running agent answers within milliseconds; a hung one would keep libvirt waiting for a minute. */
const PING_MS = 2000;
/** For one login; a guest that is going down already does not answer. */
const SSH_MS = 5000;
/** Before another round, when a guest could be asked in no way at all. */
const NO_WAY_MS = 1000;

interface Question {
  readonly context: RecipeContext;
  readonly session: HostSession;
  readonly prefix: Prefix;
  readonly vm: VmSpec;
  readonly domain: string;
  readonly wish: Wish;
}

interface Way {
  readonly name: string;
  /** Resolves once the guest has been asked; rejects when it cannot be asked in this way. */
  ask(question: Question, signal: AbortSignal): Promise<void>;
}

async function askBy(by: 'agent' | 'acpi', { session, domain, wish }: Question, signal: AbortSignal): Promise<void> {
  if (wish === 'shut down') await session.hypervisor.shutdownDomain(domain, { by }, { signal });
  else await session.hypervisor.rebootDomain(domain, { by }, { signal });
}

/** In the order in which they are tried. */
const WAYS: readonly Way[] = [
  {
    name: 'its guest agent',
    async ask(question, signal) {
      await question.session.hypervisor.agentCommand(question.domain, '{"execute":"guest-ping"}', { signal, timeoutMs: PING_MS });
      await askBy('agent', question, signal);
    },
  },
  { name: 'ACPI', ask: async (question, signal) => await askBy('acpi', question, signal) },
  {
    name: 'ssh',
    async ask({ context, prefix, vm, wish }, signal) {
      await using connection = await connectGuest(context, prefix, vm, { signal, timeoutMs: SSH_MS });
      const program = wish === 'shut down' ? 'poweroff' : 'reboot';
      // Shells of commands often lack the folders of system programs.
      const command = `PATH=$PATH:/usr/sbin:/sbin; ${vm['ssh-user'] === 'root' ? '' : 'sudo -n '}${program}`;
      try {
        const { code, stderr } = await connection.exec(command, { signal });
        if (code !== 0) throw new EngineError('guest.failed', `${program} failed with code ${code}: ${stderr.trim()}`);
      } catch (error) {
        // A guest that goes down at once closes the connection first.
        if (!(error instanceof EngineError) || error.code !== 'guest.unreachable') throw error;
      }
    },
  },
];

/**
 * Asks a guest to shut down or to reboot, in one way after another, and again, until libvirt reports that it is off or has been reset.
 * Resolves with whether it has done so in time. A suspended VM is resumed first. Waits through a restart of libvirtd. Rejects with
 * `vm.not-running` when it is off instead of rebooting, with `host.unusable`, and with `cancelled`.
 */
export async function askGuest(
  context: RecipeContext,
  prefix: Prefix,
  vm: VmSpec,
  wish: Wish,
  limits: AskLimits,
  step: Step,
): Promise<boolean> {
  const domain = domainName(prefix.uuid, vm.name);
  const late = (): boolean => Date.now() >= limits.deadline || limits.hurried?.aborted === true;
  for (;;) {
    let asked = false;
    for (const way of WAYS) {
      const active = await findActive(context, prefix, domain, step.signal);
      if (active === undefined) return isOff(vm, wish);
      if (late()) return false;
      const { session, now } = active;
      await resumeSuspended(session, now, vm, step);
      step.progress(0, `asking by ${way.name}`);
      const outcome = await attempt(way, { context, session, prefix, vm, domain, wish }, limits, step);
      if (outcome === 'done') return true;
      asked ||= outcome === 'ignored';
    }
    if (!asked) await pause(limits, step.signal);
  }
}

/** The VM if it is active. When libvirtd goes away meanwhile, looks for it again. */
async function findActive(
  context: RecipeContext,
  prefix: Prefix,
  domain: string,
  signal: AbortSignal,
): Promise<{ readonly session: HostSession; readonly now: DomainStatus } | undefined> {
  for (;;) {
    const session = await context.hosts.find(prefix, signal);
    if (session === undefined) return undefined;
    try {
      const now = await session.hypervisor.findDomain(domain, { signal });
      return now === undefined || now.id < 0 ? undefined : { session, now };
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'hypervisor.disconnected') throw error;
    }
  }
}

function isOff(vm: VmSpec, wish: Wish): true {
  if (wish === 'shut down') return true;
  throw new EngineError('vm.not-running', `VM ${vm.name} is off: it did not reboot.`, {
    hint: `Start it with "lago start ${vm.name}".`,
  });
}

async function resumeSuspended(session: HostSession, now: DomainStatus, vm: VmSpec, step: Step): Promise<void> {
  if (now.state !== 'paused') return;
  step.log.info(`VM ${vm.name} is suspended; it is resumed, or it could not obey.`);
  await session.hypervisor.resumeDomain(now.name, { signal: step.signal });
}

/** `refused`: it could not be asked. `lost`: libvirtd went away. */
type Outcome = 'done' | 'ignored' | 'refused' | 'lost';

/** Asks in one way and waits for the guest to obey. */
async function attempt(way: Way, question: Question, limits: AskLimits, step: Step): Promise<Outcome> {
  const { session, domain, wish, vm } = question;
  const { signal, log } = step;
  const { hurried } = limits;
  const over = new AbortController();
  let unsubscribe = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  let onHurry = (): void => undefined;
  let onCancel = (): void => undefined;
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      unsubscribe = session.hypervisor.onEvent((event) => {
        if (event.type === 'disconnected') resolve('lost');
        else if (event.type === 'domain' && event.name === domain) {
          // An end counts for a reboot too: the next look at the VM says so.
          if (event.event === 'stopped') resolve(wish === 'shut down' ? 'done' : 'ignored');
          else if (event.event === 'rebooted' && wish === 'reboot') resolve('done');
        }
      });
      timer = setTimeout(() => resolve('ignored'), Math.max(0, Math.min(limits.patienceMs, limits.deadline - Date.now())));
      onHurry = () => resolve('ignored');
      onCancel = () => reject(new EngineError('cancelled', 'Cancelled.'));
      hurried?.addEventListener('abort', onHurry, { once: true });
      signal.addEventListener('abort', onCancel, { once: true });
      if (hurried?.aborted === true) onHurry();
      if (signal.aborted) onCancel();
      way.ask(question, AbortSignal.any([signal, over.signal])).catch((error: unknown) => {
        if (over.signal.aborted) return;
        if (!isCancelled(error))
          log.debug(`${vm.name} cannot be asked by ${way.name}: ${error instanceof Error ? error.message : String(error)}`);
        resolve('refused');
      });
    });
  } finally {
    over.abort();
    unsubscribe();
    clearTimeout(timer);
    hurried?.removeEventListener('abort', onHurry);
    signal.removeEventListener('abort', onCancel);
  }
}

/** Waits a moment before the next round; not beyond the end of the guest's time. */
async function pause({ deadline, hurried }: AskLimits, signal: AbortSignal): Promise<void> {
  const waits = hurried === undefined ? signal : AbortSignal.any([signal, hurried]);
  try {
    await sleep(Math.max(0, Math.min(NO_WAY_MS, deadline - Date.now())), waits);
  } catch (error) {
    if (hurried?.aborted !== true || signal.aborted) throw error;
  }
}
