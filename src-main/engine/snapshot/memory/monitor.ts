import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { CallOptions, Hypervisor } from '../../libvirt/hypervisor.ts';

/**
 * Commands to QEMU's monitor about writing a VM's memory as a migration stream. libvirt does not know of it: it sees only that the VM stops
 * and goes on. Source: QEMU's QMP reference, chapter "Migration".
 */

/** The part of libvirt that this needs. */
export type Monitor = Pick<Hypervisor, 'monitorCommand'>;

/** QEMU's capabilities of a migration that are used here. */
export type Capability = 'background-snapshot' | 'pause-before-switchover';

/** QEMU answers at once, unless it hangs. */
const ANSWER_MS = 30_000;
/** As much as QEMU can write, bytes per second: its own limit of 128 MiB/s is meant for networks. */
const UNLIMITED = 10_000_000_000;

const Capabilities = z.array(z.object({ capability: z.string(), state: z.boolean() }));

export interface MigrationStatus {
  /** `none`, `setup`, `active`, `pre-switchover`, `completed`, `failed`, `cancelled`… */
  readonly status: string;
  /** QEMU's reason of a failure. */
  readonly reason: string | undefined;
  /** How often QEMU has looked what is to be written: before it writes everything once, and before each pass over what changed in the last. */
  readonly passes: number;
  /** Bytes that were written in all passes. */
  readonly written: number;
  /** Bytes of memory that are still to be written in this pass. */
  readonly remaining: number;
}

/** Switches a capability on or off. `hypervisor.failed` when this QEMU, or this kernel for this VM, does not have it. */
export async function setCapability(monitor: Monitor, domain: string, capability: Capability, on: boolean, options?: CallOptions) {
  await command(monitor, domain, 'migrate-set-capabilities', { capabilities: [{ capability, state: on }] }, options);
}

/** Whether a capability is switched on; false also when this QEMU does not have it. */
export async function hasCapability(monitor: Monitor, domain: string, capability: Capability, options?: CallOptions): Promise<boolean> {
  const all = await command(monitor, domain, 'query-migrate-capabilities', {}, options);
  return Capabilities.parse(all).some((one) => one.capability === capability && one.state);
}

/** Lifts QEMU's limit of speed. */
export async function liftLimit(monitor: Monitor, domain: string, options?: CallOptions): Promise<void> {
  await command(monitor, domain, 'migrate-set-parameters', { 'max-bandwidth': UNLIMITED }, options);
}

/** QEMU's own limit of downtime, for others who use migration. */
export const QEMU_DOWNTIME_MS = 300;

/** With how much downtime (ms) still to come QEMU pauses the VM by itself for the last pass. */
export async function limitDowntime(monitor: Monitor, domain: string, ms: number, options?: CallOptions): Promise<void> {
  await command(monitor, domain, 'migrate-set-parameters', { 'downtime-limit': ms }, options);
}

/** Begins to write the memory to `uri`; its end is seen at the other end of that, and by `migrationStatus`. */
export async function beginMigration(monitor: Monitor, domain: string, uri: string, options?: CallOptions): Promise<void> {
  await command(monitor, domain, 'migrate', { uri }, options);
}

/** Lets QEMU go on that has paused before the last pass (`pause-before-switchover`). */
export async function continueMigration(monitor: Monitor, domain: string, options?: CallOptions): Promise<void> {
  await command(monitor, domain, 'migrate-continue', { state: 'pre-switchover' }, options);
}

/** Asks QEMU to give up; not an error when there is nothing to give up. */
export async function cancelMigration(monitor: Monitor, domain: string, options?: CallOptions): Promise<void> {
  await command(monitor, domain, 'migrate_cancel', {}, options);
}

export async function migrationStatus(monitor: Monitor, domain: string, options?: CallOptions): Promise<MigrationStatus> {
  const answer = (await command(monitor, domain, 'query-migrate', {}, options)) as {
    readonly status?: string;
    readonly 'error-desc'?: string;
    readonly ram?: { readonly remaining?: number; readonly transferred?: number; readonly 'dirty-sync-count'?: number };
  };
  const { status = 'none', ram, 'error-desc': reason } = answer;
  const { transferred: written = 0, remaining = 0, 'dirty-sync-count': passes = 0 } = ram ?? {};
  return { status, reason, passes, written, remaining };
}

const Kvm = z.object({ enabled: z.boolean() });
const Version = z.object({ qemu: z.object({ major: z.number() }) });

/**
 * Whether QEMU notices everything that a running guest writes to memory that was migrated already. Before QEMU 9.0 it does not where it
 * emulates the processor ("physmem: Fix migration dirty bitmap coherency with TCG memory access"): guests that go on from such memory hang.
 */
export async function noticesWrites(monitor: Monitor, domain: string, options?: CallOptions): Promise<boolean> {
  if (Kvm.parse(await command(monitor, domain, 'query-kvm', {}, options)).enabled) return true;
  return Version.parse(await command(monitor, domain, 'query-version', {}, options)).qemu.major >= 9;
}

async function command(
  monitor: Monitor,
  domain: string,
  execute: string,
  args: Readonly<Record<string, unknown>>,
  options: CallOptions | undefined,
): Promise<unknown> {
  const how = { timeoutMs: ANSWER_MS, ...options };
  const reply: unknown = JSON.parse(await monitor.monitorCommand(domain, JSON.stringify({ execute, arguments: args }), how));
  if (typeof reply !== 'object' || reply === null) throw new EngineError('hypervisor.failed', `QEMU gave no usable answer to ${execute}.`);
  if ('error' in reply) {
    const { desc } = reply.error as { readonly desc?: string };
    throw new EngineError('hypervisor.failed', `QEMU refuses ${execute} for ${domain}: ${desc ?? 'no reason given'}.`, {
      details: { command: execute },
    });
  }
  return 'return' in reply ? reply.return : {};
}
