import { join, resolve } from 'node:path';
import type { LiveEvent } from '../../src-shared/contract.ts';
import { EngineError } from '../../src-shared/errors.ts';
import type { OperationKind } from '../../src-shared/operation.ts';
import type { LibraryState, MachineState } from '../../src-shared/state.ts';
import { drop, type Log } from './core/log.ts';
import { type Operation, type Step, startOperation } from './core/operation.ts';
import { dataDirOf } from './data-dir.ts';
import type { ActionOptions, Engine } from './engine.ts';
import type { EngineOptions } from './engine-options.ts';
import { knownEnvironments } from './known.ts';
import { createLibrary } from './library.ts';
import { createLive } from './live.ts';
import { readMachine } from './machine.ts';
import { createRegistry } from './plugins/registry.ts';
import { openPrefixLog } from './prefix/log-file.ts';
import { readPrefix } from './prefix/prefix.ts';
import type { PendingWork } from './prefix/record.ts';
import { createPublisher } from './publisher.ts';
import { cleanUpEnvironment, destroyEnvironment } from './recipes/destroy.ts';
import { startEnvironment, stopEnvironment } from './recipes/lifecycle.ts';
import { pendingLabel, recoverEnvironment } from './recipes/recover.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import { createHostAccess } from './runtime/session.ts';
import { observe, prefixState } from './runtime/state.ts';
import { readSamples } from './samples.ts';

const FINISHED_KEPT = 30;
const MACHINE_EVERY_MS = 5000;

/** Opens the engine. Nothing is read or started until it is asked; what is heavy is loaded when it is first needed. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { settings, resourcesDir, log } = options;
  const dataDir = options.dataDir ?? dataDirOf(process.env);
  const known = knownEnvironments(dataDir);
  const hosts = createHostAccess({ settings, resourcesDir, log });
  const plugins = options.plugins ?? createRegistry();
  const context: RecipeContext = { hosts, settings, resourcesDir, plugins };
  const publisher = createPublisher();
  const live = createLive({
    known,
    hosts,
    plugins,
    log,
    publish: (event) => {
      publisher.publish(event);
      // The library shows who uses a template.
      if (event.type === 'prefix-gone') library.touch();
    },
    interrupted: (path, work) => void recover(path, work),
  });
  const operations = new Map<string, Operation>();
  const workdir = options.workdir ?? join(dataDir, 'environments');
  let began: Promise<unknown> | undefined;
  let machine: MachineState | undefined;
  let libraryState: LibraryState | undefined;
  let machineTimer: NodeJS.Timeout | undefined;
  const detected = new Map<string, string>();

  /** Every verb is one of these: an operation that writes the prefix's log and has `live` look again. */
  function launch<T>(
    kind: OperationKind,
    label: string,
    path: string,
    action: ActionOptions | undefined,
    work: (step: Step, setPrefix: (id: string) => void, closeLog: () => Promise<void>) => Promise<T>,
  ): Operation<T> {
    const file = openPrefixLog(path, log);
    const id = live.states().find((state) => state.path === path)?.id;
    const operation = startOperation(
      {
        kind,
        label,
        ...(id === undefined ? {} : { prefix: id }),
        signal: action?.signal,
        log: file.log,
        onEvent: (event) => {
          file.event(event);
          action?.onEvent?.(event);
        },
      },
      async (step, setPrefix) => {
        try {
          return await work(step, setPrefix, async () => await file.close());
        } finally {
          await file.close();
          live.touch(path);
          library.touch();
        }
      },
    );
    register(operation);
    return operation;
  }

  function recover(path: string, work: PendingWork): Operation<void> {
    return launch('recover', `Finish ${pendingLabel(work)} of ${name(path)}`, path, undefined, async (step) => {
      await recoverEnvironment(context, path, step);
    });
  }

  function register(operation: Operation): void {
    operations.set(operation.id, operation);
    operation.onState((state) => publisher.publish({ type: 'operation', operation: state }));
    publisher.publish({ type: 'operation', operation: operation.state });
    forgetOld();
  }

  function forgetOld(): void {
    const ended = [...operations.values()].filter((operation) => operation.state.endedAt !== undefined);
    for (const operation of ended.slice(0, Math.max(0, ended.length - FINISHED_KEPT))) operations.delete(operation.id);
  }

  async function readMachineNow(withChecks: boolean): Promise<void> {
    const next = await readMachine({ resourcesDir, workdir, settings, previous: withChecks ? undefined : machine });
    if (JSON.stringify(next) === JSON.stringify(machine)) return;
    machine = next;
    publisher.publish({ type: 'machine', machine: next });
  }

  /** The list may lie on the full disk because of which an environment was destroyed; what is gone is taken off when it is read. */
  async function forgetPath(path: string, operationLog: Log): Promise<void> {
    try {
      await known.remove(path);
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'host.no-space') throw error;
      operationLog.warn(error.message);
    }
  }

  const name = (path: string): string => live.states().find((state) => state.path === path)?.name ?? path.split('/').at(-1) ?? path;

  const library = createLibrary({
    context,
    log,
    register,
    nameOf: name,
    publish: publishLibrary,
  });

  function publishLibrary(state: LibraryState): void {
    libraryState = state;
    publisher.publish({ type: 'library', library: state });
  }

  const engine: Engine = {
    workdir,
    library,
    samples: async () => await readSamples(resourcesDir),

    async inspect(path, request = {}) {
      const { inspectInitFile } = await import('./create/inspect.ts');
      const { findInitFile } = await import('./plan/find-init-file.ts');
      return await inspectInitFile(context, await findInitFile(resolve(path)), { ...request, workdir: request.workdir ?? workdir });
    },

    create(wanted, action) {
      const path = join(wanted.workdir, wanted.name);
      return launch('create', `Create ${wanted.name}`, path, action, async (step, setPrefix) => {
        const [{ createEnvironment }, { findInitFile }] = await Promise.all([
          import('./create/create.ts'),
          import('./plan/find-init-file.ts'),
        ]);
        const request = { ...wanted, initFile: await findInitFile(resolve(wanted.initFile)) };
        const created = await createEnvironment(context, request, step, {
          onUuid: (uuid) => setPrefix(uuid),
          onReady: async (root) => {
            await known.add(root, { path: resolve(request.initFile), name: request.name });
            await live.reload();
          },
        });
        if (request.start) await startEnvironment(context, created, [], step);
        return await engine.status(created);
      });
    },

    start: (path, vms = [], action) =>
      launch('start', `Start ${vms.length === 0 ? name(path) : vms.join(', ')}`, path, action, async (step) => {
        await startEnvironment(context, path, vms, step);
      }),
    stop: (path, vms = [], action) =>
      launch('stop', `Stop ${vms.length === 0 ? name(path) : vms.join(', ')}`, path, action, async (step) => {
        await stopEnvironment(context, path, vms, step);
      }),
    cleanup: (path, action) =>
      launch('cleanup', `Clean up ${name(path)}`, path, action, async (step) => await cleanUpEnvironment(context, path, step)),
    destroy: (path, action) =>
      launch('destroy', `Destroy ${name(path)}`, path, action, async (step, _setPrefix, closeLog) => {
        const { releaseLeases } = await import('./create/leases.ts');
        const { prefixRemoved } = await import('./prefix/workdir.ts');
        await destroyEnvironment(context, path, async (prefix, signal) => await releaseLeases(settings, prefix, signal), step, closeLog);
        await prefixRemoved(path);
        const { tidyStore } = await import('./create/templates.ts');
        await tidyStore(settings, step.log);
        await forgetPath(path, step.log);
        await live.reload();
      }),
    snapshot: (path, snapshot, action) =>
      launch('snapshot', `Snapshot ${name(path)} as “${snapshot}”`, path, action, async (step) => {
        const { takeSnapshot } = await import('./recipes/snapshots.ts');
        await takeSnapshot(context, path, snapshot, step);
      }),
    revert: (path, snapshot, first, action) =>
      launch('revert', `Revert ${name(path)} to “${snapshot}”`, path, action, async (step) => {
        const { revertSnapshot } = await import('./recipes/snapshots.ts');
        await revertSnapshot(context, path, snapshot, first, step);
      }),
    removeSnapshot: (path, snapshot, action) =>
      launch('delete-snapshot', `Delete snapshot “${snapshot}” of ${name(path)}`, path, action, async (step) => {
        const { removeSnapshot } = await import('./recipes/snapshots.ts');
        await removeSnapshot(context, path, snapshot, step);
      }),
    export: (path, request, action) =>
      launch('export', `Export ${name(path)}`, path, action, async (step) => {
        const { exportEnvironment } = await import('./export/export.ts');
        return await exportEnvironment(context, path, request, step);
      }),
    async exportedDisks(path, vms) {
      const { collectDisks } = await import('./export/export.ts');
      return await collectDisks(path, vms);
    },

    async status(path) {
      const prefix = await readPrefix(path);
      return await prefixState(prefix, hosts, await observe(prefix, hosts, { plugins, log }));
    },
    async snapshots(path) {
      const prefix = await readPrefix(path);
      return Object.fromEntries(prefix.specs.vms.map((vm) => [vm.name, vm.snapshots]));
    },

    async shell(path, request) {
      const { openShell } = await import('./runtime/access.ts');
      return await openShell(context, path, request);
    },
    async exec(path, request) {
      const { runInGuest } = await import('./runtime/access.ts');
      return await runInGuest(context, path, request);
    },
    async service(path, vm, service, signal) {
      const { guestService } = await import('./runtime/services.ts');
      return await guestService(context, path, vm, service, { detected, signal });
    },
    async console(path, vm, signal) {
      const { openConsole } = await import('./runtime/access.ts');
      return await openConsole(context, path, vm, signal);
    },
    async screen(path, vm, signal) {
      const { openScreen } = await import('./runtime/access.ts');
      return await openScreen(context, path, vm, signal);
    },

    async *live(signal) {
      began ??= live.begin();
      await began;
      const first: LiveEvent[] = [
        { type: 'prefixes', prefixes: [...live.states()] },
        { type: 'operations', operations: [...operations.values()].map((operation) => operation.state) },
      ];
      if (machine !== undefined) first.push({ type: 'machine', machine });
      else drop(readMachineNow(true), log, 'Checking the machine');
      machineTimer ??= setInterval(() => {
        if (publisher.readers > 0) drop(readMachineNow(false), log, 'Reading the machine');
      }, MACHINE_EVERY_MS);
      machineTimer.unref();
      if (libraryState !== undefined) first.push({ type: 'library', library: libraryState });
      else drop(library.begin(), log, 'Reading the template library');
      yield* publisher.subscribe(first, signal);
    },
    operation: (id) => operations.get(id),
    dismissOperation(id) {
      const operation = operations.get(id);
      if (operation === undefined || operation.state.endedAt === undefined) return;
      operations.delete(id);
      publisher.publish({ type: 'operation-gone', id });
    },
    async openPath(path) {
      const { findPrefixes } = await import('./prefix/workdir.ts');
      const found = await findPrefixes(resolve(path));
      for (const root of found) await known.add(root);
      began ??= live.begin();
      await began;
      await live.reload();
      return live
        .states()
        .filter((state) => found.includes(state.path))
        .map((state) => state.id);
    },
    async forget(id) {
      await known.remove(engine.pathOf(id));
      await live.reload();
    },
    pathOf(id) {
      const path = live.pathOf(id);
      if (path !== undefined) return path;
      throw new EngineError('prefix.missing', 'This environment no longer exists.', { details: { id } });
    },
    recent: async () => await known.recent(),
    async checkMachine() {
      await readMachineNow(true);
      return machine?.checks ?? [];
    },

    async [Symbol.asyncDispose]() {
      clearInterval(machineTimer);
      library[Symbol.dispose]();
      await live[Symbol.asyncDispose]();
      await hosts[Symbol.asyncDispose]();
    },
  };
  return engine;
}
