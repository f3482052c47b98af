import { EngineError } from '../../../../src-shared/errors.ts';
import { sleep, until } from '../../core/until.ts';
import type { MemorySink } from '../../host/memory-sink.ts';
import type { CallOptions, Hypervisor } from '../../libvirt/hypervisor.ts';
import type { Convoy } from './convoy.ts';
import {
  beginMigration,
  type Capability,
  cancelMigration,
  continueMigration,
  hasCapability,
  liftLimit,
  limitDowntime,
  type MigrationStatus,
  migrationStatus,
  noticesWrites,
  QEMU_DOWNTIME_MS,
  setCapability,
} from './monitor.ts';

/**
 * How a VM's memory is written. `background`: QEMU write-protects it and lets the VM go on at once, which the kernel must allow
 * (userfaultfd). `pre-copy`: while the VM runs, and what has changed meanwhile once more in the pause. `paused`: in the pause.
 */
export type Mechanism = 'background' | 'pre-copy' | 'paused';

/** Writes the memory of one VM into a file; its methods are called in this order, and dispose it at any time gives up. */
export interface MemoryWriting extends AsyncDisposable {
  readonly mechanism: Mechanism;
  /** Whatever can be done while the VM runs. With `pre-copy` QEMU may have suspended it at the end, which libvirt does not tell. */
  prepare(signal: AbortSignal): Promise<'runs' | 'stands'>;
  /** The VM is suspended, and its disks have their new layers: what is written is its memory as of now. It may run by itself from here on. */
  begin(): Promise<void>;
  /** Everything is written. Except with `background` the VM stands still until it is resumed. Returns the number of bytes. */
  finish(signal: AbortSignal, onProgress?: (bytes: number) => void): Promise<number>;
}

const CAPABILITY: Readonly<Record<Mechanism, Capability | undefined>> = {
  background: 'background-snapshot',
  'pre-copy': 'pause-before-switchover',
  paused: undefined,
};

/** With no more than this to be written in a pass, the pause for the last one is short, bytes. */
const LITTLE = 4 * 1024 * 1024;
/** A VM that changes its memory faster than it is written is paused all the same after this. */
const PATIENCE_MS = 30_000;
/** QEMU that writes nothing for so long does not respond any more. */
const STALLED_MS = 60_000;
/** Once the VM is suspended nothing is cancelled, and every answer comes at once. */
const ANSWER = { timeoutMs: 30_000 };

/**
 * The best mechanism for a VM: `background` where this kernel and QEMU have it for this VM, which only trying to switch it on tells, else
 * `pre-copy` where it is safe, else `paused`; the latter also for a VM that is suspended.
 */
export async function mechanismFor(hypervisor: Hypervisor, domain: string, suspended: boolean, signal: AbortSignal): Promise<Mechanism> {
  if (suspended) return 'paused';
  try {
    await setCapability(hypervisor, domain, 'background-snapshot', true, { signal });
  } catch (error) {
    if (!(error instanceof EngineError) || error.details['command'] === undefined) throw error;
    return (await noticesWrites(hypervisor, domain, { signal })) ? 'pre-copy' : 'paused';
  }
  // An ordinary save would fail with it.
  await setCapability(hypervisor, domain, 'background-snapshot', false, ANSWER);
  return 'background';
}

/** Nothing happens yet. The sink is the caller's. */
export function memoryWriting(
  hypervisor: Hypervisor,
  vm: {
    readonly domain: string;
    readonly mechanism: Mechanism;
    readonly sink: MemorySink;
    readonly convoy: Convoy;
  },
): MemoryWriting {
  const { domain, mechanism, sink, convoy } = vm;
  const capability = CAPABILITY[mechanism];
  let under = false;
  let switched = false;

  async function requireStatus(wanted: string, signal?: AbortSignal): Promise<void> {
    await until(
      async () => {
        const { status, reason } = await migrationStatus(hypervisor, domain, { ...ANSWER, signal });
        if (status === 'failed' || status === 'cancelled') {
          throw new EngineError('hypervisor.failed', `The memory of ${domain} could not be written: ${reason ?? `QEMU ${status}`}.`);
        }
        return status === wanted ? true : undefined;
      },
      {
        everyMs: 5,
        timeoutMs: ANSWER.timeoutMs,
        signal,
        failure: () => new EngineError('hypervisor.failed', `QEMU did not finish writing the memory of ${domain}.`),
      },
    );
  }

  /** Waits for a pass in which little was written, since the last one will be like it. */
  async function nearlyWritten(signal: AbortSignal): Promise<'runs' | 'stands'> {
    const deadline = Date.now() + PATIENCE_MS;
    let before: MigrationStatus | undefined;
    for (;;) {
      const now = await migrationStatus(hypervisor, domain, { signal });
      if (now.status === 'pre-switchover') {
        convoy.halt();
        return 'stands';
      }
      if (now.status === 'failed' || Date.now() > deadline) return 'runs';
      if (now.status === 'active') {
        if (convoy.halted) return 'runs';
        convoy.progress(domain, now.remaining);
        if (before !== undefined && now.passes > before.passes) {
          const perPass = (now.written - before.written) / (now.passes - before.passes);
          if (perPass <= LITTLE) return 'runs';
        }
        // The first pass writes everything, and says nothing about the others.
        if (now.passes > (before?.passes ?? 1)) before = now;
      }
      await sleep(10, signal);
    }
  }

  return {
    mechanism,

    async prepare(signal) {
      await liftLimit(hypervisor, domain, { signal });
      if (capability !== undefined) {
        switched = true;
        await setCapability(hypervisor, domain, capability, true, ANSWER);
      }
      let then: 'runs' | 'stands' = 'runs';
      if (mechanism === 'pre-copy') {
        // All VMs are to be paused at the same time, and not each when it is ready. With 0 it does not even begin a second pass.
        await limitDowntime(hypervisor, domain, 1, ANSWER);
        await convoy.turn(domain, signal);
        under = true;
        await beginMigration(hypervisor, domain, sink.uri, ANSWER);
        then = await nearlyWritten(signal);
      }
      convoy.done(domain);
      return then;
    },

    async begin() {
      if (mechanism === 'pre-copy') {
        await requireStatus('pre-switchover');
        await continueMigration(hypervisor, domain, ANSWER);
        return;
      }
      under = true;
      await beginMigration(hypervisor, domain, sink.uri, ANSWER);
    },

    async finish(signal, onProgress = () => undefined) {
      const bytes = await untilWritten(sink, signal, onProgress, domain);
      await requireStatus('completed');
      under = false;
      return bytes;
    },

    async [Symbol.asyncDispose]() {
      const now = await hypervisor.findDomain(domain, ANSWER);
      // It has ended, and all of this with it.
      if (now === undefined || now.id < 0) return;
      if (under) await endMigration(hypervisor, domain, ANSWER);
      under = false;
      if (switched && capability !== undefined) await setCapability(hypervisor, domain, capability, false, ANSWER);
      if (mechanism === 'pre-copy') await limitDowntime(hypervisor, domain, QEMU_DOWNTIME_MS, ANSWER);
    },
  };
}

/** What QEMU does when it writes memory, or is about to end that. */
const WRITING: ReadonlySet<string> = new Set(['setup', 'active', 'device', 'pre-switchover', 'wait-unplug', 'cancelling']);
/** Writing what is left of a memory to a slow disk. */
const REST_MS = 10 * 60_000;

/**
 * Ends the writing of a VM's memory, whoever began it; afterwards the VM runs or stands as if there had been none. A background snapshot is
 * never broken off, but goes on to its end, which nobody needs: QEMU 7.2 may lock up for ever, see `memory-sink.cjs`.
 */
export async function endMigration(hypervisor: Hypervisor, domain: string, how: CallOptions): Promise<void> {
  const options = { ...ANSWER, ...how };
  const writing = async (): Promise<boolean> => WRITING.has((await migrationStatus(hypervisor, domain, options)).status);
  if (!(await writing())) return;
  if (!(await hasCapability(hypervisor, domain, 'background-snapshot', options))) await cancelMigration(hypervisor, domain, options);
  await until(async () => ((await writing()) ? undefined : true), {
    everyMs: 20,
    timeoutMs: REST_MS,
    signal: options.signal,
    failure: () => new EngineError('hypervisor.failed', `QEMU does not end writing the memory of ${domain}.`),
  });
}

/** Waits as long as bytes arrive. */
async function untilWritten(
  sink: { arrived(): number; written(): Promise<number> },
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
  domain: string,
): Promise<number> {
  const done = new AbortController();
  const watch = async (): Promise<never> => {
    let [last, since] = [-1, Date.now()];
    for (;;) {
      const now = sink.arrived();
      if (now !== last) [last, since] = [now, Date.now()];
      onProgress(now);
      if (Date.now() - since > STALLED_MS) throw new EngineError('hypervisor.failed', `QEMU stopped writing the memory of ${domain}.`);
      await sleep(100, AbortSignal.any([done.signal, signal]));
    }
  };
  const watching = watch();
  try {
    return await Promise.race([sink.written(), watching]);
  } finally {
    done.abort();
    await watching.catch(() => undefined);
  }
}
