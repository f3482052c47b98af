import type { BootState } from '../../../src-shared/boot.ts';
import { waitingStage } from '../../../src-shared/boot.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { drop, type Log } from '../core/log.ts';
import type { BootWatch } from '../guest/boot/boot-watch.ts';
import { domainName, type Prefix, vmAddress } from '../prefix/prefix.ts';
import type { Observation, VmNote } from '../runtime/observed/state.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';

/** Watches the boot of each running VM of an environment, from its start until it is up, and whenever it starts over. */
export interface BootWatches {
  /** Called with each new observation of the host; begins and ends watches. */
  update(prefix: Prefix, seen: Observation): void;
  /** Called when a guest reboots while its VM keeps running: what it had reached no longer counts. */
  rebooted(domain: string): void;
  /** Called when a guest's agent begins or ceases to answer. */
  agent(domain: string, answers: boolean): void;
  note(vm: string): VmNote | undefined;
  close(): void;
}

const NEWS_MS = 60_000;

interface Watched {
  readonly session: HostSession;
  readonly domain: string;
  /** libvirt's id, which changes when a VM is started or reverted again. */
  readonly domainId: number;
  readonly abort: AbortController;
  watch: BootWatch | undefined;
}

export function createBootWatches(context: RecipeContext, log: Log, onChange: () => void): BootWatches {
  const watched = new Map<string, Watched>();

  async function follow(session: HostSession, prefix: Prefix, vm: VmSpec, entry: Watched): Promise<void> {
    const { signal } = entry.abort;
    const { watchBoot } = await import('../runtime/boot/boot-watch.ts');
    const watch = await watchBoot(session, prefix, vm, { signal, log, onChange });
    entry.watch = watch;
    watch.begin();
    onChange();
    while (!signal.aborted) {
      if (waitingStage(watch.state()) === undefined || !(await bringUp(session, prefix, vm, watch, signal))) await watch.startsOver(signal);
    }
  }

  /** Waits until the VM is up. False when it never will be, unless it starts over. */
  async function bringUp(session: HostSession, prefix: Prefix, vm: VmSpec, watch: BootWatch, signal: AbortSignal): Promise<boolean> {
    if (vmAddress(prefix.specs, vm) === null) {
      await watch.news(NEWS_MS, signal);
      return true;
    }
    const [{ connectWatched }, { followCloudInit }] = await Promise.all([
      import('../runtime/access.ts'),
      import('../runtime/boot/boot.ts'),
    ]);
    try {
      await using connection = await connectWatched(context, session, prefix, vm, watch, signal);
      await followCloudInit(connection, watch, signal);
      return true;
    } catch (error) {
      // The watch knows why; a host that is gone ends it with the next observation.
      if (signal.aborted || !(error instanceof EngineError)) throw error;
      log.debug(`${vm.name}: ${error.message}`);
      return error.code === 'guest.unreachable' && error.details['stage'] === undefined;
    }
  }

  return {
    update(prefix, seen) {
      const { session } = seen;
      for (const vm of prefix.specs.vms) {
        const domain = seen.domains.find((candidate) => candidate.name === domainName(prefix.uuid, vm.name));
        const known = watched.get(vm.name);
        const running = session !== undefined && domain !== undefined && domain.id >= 0;
        const same = running && known?.domainId === domain.id && known.session === session;
        if (known !== undefined && !same) {
          known.abort.abort();
          watched.delete(vm.name);
        }
        if (!running || same) continue;
        const entry: Watched = { session, domain: domain.name, domainId: domain.id, abort: new AbortController(), watch: undefined };
        watched.set(vm.name, entry);
        drop(unlessAborted(follow(session, prefix, vm, entry), entry.abort.signal), log, `Watching the boot of ${vm.name}`);
      }
    },
    rebooted(domain) {
      for (const entry of watched.values()) if (entry.domain === domain) entry.watch?.restarted();
    },
    agent(domain, answers) {
      for (const entry of watched.values()) if (entry.domain === domain) entry.watch?.agentAnswers(answers);
    },
    note(vm) {
      const watch = watched.get(vm)?.watch;
      if (watch === undefined) return undefined;
      const boot = watch.state();
      return { boot, ssh: sshOf(boot), startedAt: watch.startedAt ?? null };
    },
    close() {
      for (const entry of watched.values()) entry.abort.abort();
      watched.clear();
    },
  };
}

function sshOf({ stages }: BootState): VmNote['ssh'] {
  const login = stages.find((stage) => stage.id === 'login');
  if (login === undefined) return 'unknown';
  return login.state === 'done' ? 'ready' : 'waiting';
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
