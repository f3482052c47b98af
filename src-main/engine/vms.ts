import type { Vms } from './engine.ts';
import { readPrefix } from './prefix/prefix.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import { rootPasswordOf } from './runtime/state.ts';

/** What one does in the VMs of an environment. The code of each call is loaded when it is first made. */
export function vmsOf(context: RecipeContext): Vms {
  /** VM → the service provider that was found in it. */
  const detected = new Map<string, string>();
  return {
    async shell(prefix, request) {
      const { openShell } = await import('./runtime/access.ts');
      return await openShell(context, prefix, request);
    },
    async exec(prefix, request) {
      const { runInGuest } = await import('./runtime/access.ts');
      return await runInGuest(context, prefix, request);
    },
    async service(prefix, vm, service, signal) {
      const { guestService } = await import('./runtime/services.ts');
      return await guestService(context, prefix, vm, service, { detected, signal });
    },
    async console(prefix, vm, signal) {
      const { openConsole } = await import('./runtime/access.ts');
      return await openConsole(context, prefix, vm, signal);
    },
    async screen(prefix, vm, signal) {
      const { openScreen } = await import('./runtime/access.ts');
      return await openScreen(context, prefix, vm, signal);
    },
    rootPasswords: async (prefix) => Object.fromEntries((await readPrefix(prefix)).specs.vms.map((vm) => [vm.name, rootPasswordOf(vm)])),
  };
}
