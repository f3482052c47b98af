import type { Log } from '../../core/log.ts';
import { readPrefix } from '../../prefix/prefix.ts';
import type { RecipeContext } from '../recipe.ts';
import type { ConsoleHub } from './console-hub.ts';
import { LOCAL_LOGS, serialLogPath } from './serial-log.ts';

/** The serial consoles in use by this process: one hub per VM, shared by all who look at it. */
export interface Consoles {
  /** The hub of a VM; it is open while it has users. `vm.missing`, `prefix.missing`. */
  of(prefix: string, vm: string): Promise<ConsoleHub>;
  close(): void;
}

/** `isRunning` tells whether the VM of a prefix path runs, as far as the engine knows. */
export function createConsoles(context: RecipeContext, isRunning: (prefix: string, vm: string) => boolean, log: Log): Consoles {
  const hubs = new Map<string, ConsoleHub>();
  return {
    async of(prefix, vm) {
      const read = await readPrefix(prefix);
      const [{ ConsoleHub: Hub }, { openConsole }] = await Promise.all([import('./console-hub.ts'), import('../access.ts')]);
      // There must be no await between get and set, or two users would open two consoles.
      const key = JSON.stringify([prefix, vm]);
      const known = hubs.get(key);
      if (known !== undefined) return known;
      const hub = new Hub({
        open: async (signal) => await openConsole(context, prefix, vm, signal),
        log: serialLogPath(read.paths, vm),
        logs: async () => (read.record?.host.kind === 'remote' ? (await context.hosts.find(read))?.host.logs : undefined) ?? LOCAL_LOGS,
        isRunning: () => isRunning(prefix, vm),
        engineLog: log,
      });
      hubs.set(key, hub);
      return hub;
    },
    close() {
      for (const hub of hubs.values()) hub.close();
      hubs.clear();
    },
  };
}
