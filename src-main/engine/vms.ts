import { basename } from 'node:path';
import type { OperationKind } from '../../src-shared/operation.ts';
import { changeLabel } from '../../src-shared/vm-change.ts';
import type { CopyRequest, CopyResult } from './copy/copy-request.ts';
import type { Operation, Step } from './core/operation.ts';
import type { ActionOptions, Vms } from './engine.ts';
import type { Forwards } from './forwards.ts';
import { readPrefix, vmSpec } from './prefix/prefix.ts';
import type { Consoles } from './runtime/console/consoles.ts';
import { rootPasswordOf } from './runtime/observed/state.ts';
import type { RecipeContext } from './runtime/recipe.ts';

/** Begins an operation on the prefix at a path. */
export type Launch = <T>(
  kind: OperationKind,
  label: string,
  path: string,
  action: ActionOptions | undefined,
  work: (step: Step) => Promise<T>,
) => Operation<T>;

/** Calls on the VMs of an environment. The code of each is loaded when it is first called. */
export function vmsOf(context: RecipeContext, launch: Launch, consoles: Consoles, forwards: Forwards): Vms {
  const copy = (way: 'to' | 'from', label: string, prefix: string, request: CopyRequest, action?: ActionOptions): Operation<CopyResult> =>
    launch('copy', label, prefix, action, async (step) => {
      const { copy: start } = await import('./copy/copy.ts');
      return await start(context, prefix, way, request, step);
    });
  /** VM → the service provider detected in it. */
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
    copyTo: (prefix, request, action) => copy('to', `Copy ${basename(request.local)} to ${request.vm}`, prefix, request, action),
    copyFrom: (prefix, request, action) => copy('from', `Copy ${basename(request.remote)} from ${request.vm}`, prefix, request, action),
    change: (prefix, vm, change, action) =>
      launch('vm', changeLabel(vm, change), prefix, action, async (step) => {
        const { changeVm } = await import('./recipes/change-vm/change-vm.ts');
        return await changeVm(context, prefix, vm, change, step);
      }),
    async boot(prefix, vms, signal = new AbortController().signal) {
      const { bootOf } = await import('./runtime/boot/boot.ts');
      return await bootOf(context, prefix, vms, signal);
    },
    async console(prefix, vm, options = {}) {
      const { openSharedConsole } = await import('./runtime/console/shared-console.ts');
      return await openSharedConsole(await consoles.of(prefix, vm), options);
    },
    async screen(prefix, vm, signal) {
      const { openScreen } = await import('./runtime/access.ts');
      return await openScreen(context, prefix, vm, signal);
    },
    forward: async (prefix, request) => await forwards.open(prefix, request),
    closeForward: async (id) => await forwards.close(id),
    async connect(prefix, vm, port, signal) {
      const { connectToPort } = await import('./runtime/access.ts');
      const read = await readPrefix(prefix);
      return await connectToPort(context, read, vmSpec(read, vm), port, signal);
    },
    async connectFrom(prefix, { vm, host, port }, signal) {
      const { connectFromGuest } = await import('./runtime/access.ts');
      const read = await readPrefix(prefix);
      return await connectFromGuest(context, read, vmSpec(read, vm), { host, port }, signal);
    },
    async processor(prefix, vm, signal) {
      const { processorOf } = await import('./runtime/observed/processor.ts');
      const read = await readPrefix(prefix);
      return await processorOf(context, read, vmSpec(read, vm), signal);
    },
    async sshCommand(prefix, vm) {
      const { sshCommand } = await import('./runtime/ssh-command.ts');
      const read = await readPrefix(prefix);
      return await sshCommand(read, vmSpec(read, vm));
    },
    rootPasswords: async (prefix) => Object.fromEntries((await readPrefix(prefix)).specs.vms.map((vm) => [vm.name, rootPasswordOf(vm)])),
  };
}
