import { join, resolve } from 'node:path';
import type { LiveEvent } from '../../src-shared/contract.ts';
import { EngineError } from '../../src-shared/errors.ts';
import type { OperationKind } from '../../src-shared/operation.ts';
import type { RepoStoreState } from '../../src-shared/repos/repo-store-state.ts';
import type { LibraryState, MachineState } from '../../src-shared/state.ts';
import { type VerbInputKind, type VerbInputs, type VerbNoun, verbsOf } from '../../src-shared/verbs.ts';
import { collectionCalls } from './collections.ts';
import { comparisonCalls } from './comparisons.ts';
import { drop, type Log } from './core/log.ts';
import { type Operation, type Step, startOperation } from './core/operation.ts';
import { dataDirOf } from './data-dir.ts';
import type { ActionOptions, Engine, Prefixes, VerbMethods } from './engine.ts';
import type { EngineOptions } from './engine-options.ts';
import { createForwards } from './forwards.ts';
import { createLibrary } from './library.ts';
import { knownEnvironments } from './live/known.ts';
import { createLive } from './live/live.ts';
import { readMachine } from './live/machine.ts';
import { noteEvent } from './live/note-event.ts';
import { createNumbers } from './live/numbers.ts';
import { createOperations } from './live/operations.ts';
import { createPublisher } from './live/publisher.ts';
import { createRepoStore } from './live/repo-store.ts';
import { repoCalls } from './package-repos.ts';
import { createPackageServing } from './package-serving.ts';
import { createRegistry } from './plugins/registry.ts';
import { openPrefixLog } from './prefix/log-file.ts';
import { readPrefix } from './prefix/prefix.ts';
import type { PendingWork } from './prefix/record.ts';
import { pendingLabel, recoverEnvironment } from './recipes/recover.ts';
import { VERB_WORK, type VerbTask } from './recipes/verbs.ts';
import { createConsoles } from './runtime/console/consoles.ts';
import { observe, prefixState } from './runtime/observed/state.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import { createHostAccess } from './runtime/session.ts';
import { readSamples } from './samples.ts';
import { createTerminals } from './terminals/terminals.ts';
import { vmsOf } from './vms.ts';

const MACHINE_EVERY_MS = 5000;

/** Opens the engine. Nothing is read or started until it is needed, and heavy modules are loaded on first use. */
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
    context,
    log,
    publish: (event) => {
      publisher.publish(event);
      if (event.type === 'prefix-gone') touchUsed();
      terminals.checkVms();
    },
    interrupted: (path, work) => void recover(path, work),
  });
  const consoles = createConsoles(
    context,
    (path, vm) =>
      live.states().some((state) => state.path === path && state.vms.some((one) => one.name === vm && one.status === 'running')),
    log,
  );
  const numbers = createNumbers({ hosts, log });
  const operations = createOperations((event) => {
    publisher.publish(event);
    if (event.type === 'operation') terminals.onOperation(event.operation);
  });
  const forwards = createForwards(context, {
    log,
    idOf: (path) => live.states().find((state) => state.path === path)?.id,
    publish: (event) => publisher.publish(event),
  });
  const vms = vmsOf(context, launch, consoles, forwards);
  const terminals = createTerminals({
    vms,
    consoles,
    states: () => live.states(),
    publish: (states) => publisher.publish({ type: 'terminals', terminals: [...states] }),
    log,
  });
  const serving = createPackageServing(context, log);
  const workdir = options.workdir ?? join(dataDir, 'environments');
  let began: Promise<unknown> | undefined;
  let machine: MachineState | undefined;
  let libraryState: LibraryState | undefined;
  let repoState: RepoStoreState | undefined;
  let machineTimer: NodeJS.Timeout | undefined;

  /** Runs a verb: an operation that writes the prefix's log, is an event of its timeline, and makes `live` refresh. */
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
        let failure: unknown;
        try {
          return await work(step, setPrefix, async () => await file.close());
        } catch (error) {
          failure = error;
          throw error;
        } finally {
          await noteEvent(path, { kind, label }, failure, log);
          await file.close();
          live.touch(path);
          touchUsed();
        }
      },
    );
    operations.register(operation);
    return operation;
  }

  function recover(path: string, work: PendingWork): Operation<void> {
    return launch('recover', `Finish ${pendingLabel(work)} of ${name(path)}`, path, undefined, async (step) => {
      await recoverEnvironment(context, path, step);
    });
  }

  async function readMachineNow(withChecks: boolean): Promise<void> {
    const next = await readMachine({ resourcesDir, workdir, settings, previous: withChecks ? undefined : machine });
    if (JSON.stringify(next) === JSON.stringify(machine)) return;
    machine = next;
    publisher.publish({ type: 'machine', machine: next });
  }

  /** The environment may be destroyed because the disk with the list is full; reading the list drops missing ones anyway. */
  async function takeOffTheList(path: string, operationLog: Log): Promise<void> {
    try {
      await known.remove(path);
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'host.no-space') throw error;
      operationLog.warn(error.message);
    }
    await live.reload();
  }

  const name = (path: string): string => live.states().find((state) => state.path === path)?.name ?? path.split('/').at(-1) ?? path;

  const library = createLibrary({
    context,
    log,
    register: (operation) => operations.register(operation),
    nameOf: name,
    publish: publishLibrary,
  });

  const repoStore = createRepoStore({
    context,
    log,
    register: (operation) => operations.register(operation),
    nameOf: name,
    idOf: (path) => live.states().find((state) => state.path === path)?.id,
    publish(state) {
      repoState = state;
      publisher.publish({ type: 'repos', repos: state });
    },
  });

  /** Library and store of repositories show which environments use what they have. */
  function touchUsed(): void {
    library.touch();
    repoStore.touch();
  }

  function publishLibrary(state: LibraryState): void {
    libraryState = state;
    publisher.publish({ type: 'library', library: state });
  }

  /** The verbs of a noun, each an operation. */
  function methodsOf<Noun extends VerbNoun>(noun: Noun): VerbMethods<Noun> {
    type Work = (context: RecipeContext, task: VerbTask<VerbInputs[VerbInputKind]>) => Promise<void>;
    const work = VERB_WORK[noun] as unknown as Readonly<Record<string, Work>>;
    const methods = verbsOf(noun).map(({ name: verb, kind, label }) => [
      verb,
      (root: string, input: VerbInputs[VerbInputKind], action?: ActionOptions) =>
        launch(kind, label(name(root), input as never), root, action, async (step, _setPrefix, closeLog) => {
          await (work[verb] as Work)(context, { root, input, step, closeLog });
          if (kind === 'destroy') await takeOffTheList(root, step.log);
        }),
    ]);
    return Object.fromEntries(methods) as VerbMethods<Noun>;
  }

  const prefix: Prefixes = {
    ...methodsOf('prefix'),
    create(wanted, action) {
      const path = join(wanted.workdir, wanted.name);
      return launch('create', `Create ${wanted.name}`, path, action, async (step, setPrefix) => {
        const [{ createEnvironment }, { findInitFile }, { startEnvironment }] = await Promise.all([
          import('./create/create.ts'),
          import('./plan/find-init-file.ts'),
          import('./recipes/lifecycle.ts'),
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
        return await prefix.status(created);
      });
    },
    fork: (path, request, action) =>
      launch('fork', `Fork ${name(path)} as ${request.name}`, path, action, async (step) => {
        const { forkEnvironment } = await import('./recipes/fork/fork.ts');
        const made = await forkEnvironment(context, path, request, step);
        for (const root of made) await known.add(root);
        await live.reload();
        return await Promise.all(made.map(async (root) => await prefix.status(root)));
      }),
    export: (path, request, action) =>
      launch('export', `Export ${name(path)}`, path, action, async (step) => {
        const { exportEnvironment } = await import('./export/export.ts');
        return await exportEnvironment(context, path, request, step);
      }),
    exportSnapshot: (path, request, action) =>
      launch('export', `Export snapshot “${request.snapshot}” of ${name(path)}`, path, action, async (step) => {
        const { exportSnapshot } = await import('./recipes/portable/export-snapshot.ts');
        return await exportSnapshot(context, path, request, step);
      }),
    resumeExported: (request, action) =>
      launch('create', `Resume ${request.name}`, join(request.workdir, request.name), action, async (step, setPrefix) => {
        const { resumeEnvironment } = await import('./recipes/portable/resume.ts');
        const root = await resumeEnvironment(context, request, step);
        await known.add(root);
        await live.reload();
        const state = await prefix.status(root);
        setPrefix(state.id);
        return state;
      }),
    async exportedSnapshot(path) {
      const { describeExported } = await import('./recipes/portable/manifest.ts');
      return await describeExported(resolve(path));
    },
    collect: (path, request, action) =>
      launch('collect', `Collect artifacts of ${name(path)}`, path, action, async (step) => {
        const { collectArtifacts } = await import('./recipes/collect/collect.ts');
        return await collectArtifacts(context, path, request, step);
      }),
    async exportedDisks(path, vms) {
      const { collectDisks } = await import('./export/export.ts');
      return await collectDisks(path, vms);
    },
    async *deployOutput(path, vm, script, signal) {
      const [{ followOutput }, { prefixPaths }] = await Promise.all([import('./prefix/deploy-output.ts'), import('./prefix/layout.ts')]);
      yield* followOutput(prefixPaths(path), vm, script, signal);
    },
    async status(path) {
      const read = await readPrefix(path);
      return await prefixState(read, hosts, await observe(read, hosts, { plugins, log }));
    },
    async open(path) {
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
    numbers: (path, signal) => numbers.watch(path, signal),
    async forget(id) {
      await known.remove(prefix.pathOf(id));
      await live.reload();
    },
    pathOf(id) {
      const path = live.pathOf(id);
      if (path !== undefined) return path;
      throw new EngineError('prefix.missing', 'This environment no longer exists.', { details: { id } });
    },
    recent: async () => await known.recent(),
  };

  return {
    workdir,
    initFile: {
      samples: async () => await readSamples(resourcesDir),
      async inspect(path, request = {}) {
        const { inspectInitFile } = await import('./create/inspect.ts');
        const { findInitFile } = await import('./plan/find-init-file.ts');
        const file = request.text === undefined ? await findInitFile(resolve(path)) : resolve(path);
        return await inspectInitFile(context, file, { ...request, workdir: request.workdir ?? workdir });
      },
    },
    prefix,
    snapshot: {
      ...methodsOf('snapshot'),
      ...comparisonCalls(context, launch),
      async list(path) {
        const { specs } = await readPrefix(path);
        return Object.fromEntries(specs.vms.map((vm) => [vm.name, vm.snapshots]));
      },
      async removalPlan(path, what) {
        const { planRemoval } = await import('./snapshot/removal-plan.ts');
        return await planRemoval(context, await readPrefix(path), what);
      },
      async revertPlan(path, snapshot) {
        const { planRevert } = await import('./snapshot/revert-plan.ts');
        return planRevert(await readPrefix(path), await prefix.status(path), snapshot);
      },
    },
    vm: vms,
    terminal: terminals,
    collection: collectionCalls(launch),
    operation: operations,
    library,
    repos: repoCalls(context, launch, log, { store: repoStore.calls, serving }),
    machine: {
      async check() {
        await readMachineNow(true);
        return machine?.checks ?? [];
      },
    },
    async *live(signal) {
      began ??= live.begin();
      await began;
      const first: LiveEvent[] = [
        { type: 'prefixes', prefixes: [...live.states()] },
        { type: 'operations', operations: operations.states() },
        { type: 'terminals', terminals: [...terminals.states()] },
        { type: 'forwards', forwards: [...forwards.states()] },
      ];
      if (machine !== undefined) first.push({ type: 'machine', machine });
      else drop(readMachineNow(true), log, 'Checking the machine');
      machineTimer ??= setInterval(() => {
        if (publisher.readers > 0) drop(readMachineNow(false), log, 'Reading the machine');
      }, MACHINE_EVERY_MS);
      machineTimer.unref();
      if (libraryState !== undefined) first.push({ type: 'library', library: libraryState });
      else drop(library.begin(), log, 'Reading the template library');
      if (repoState !== undefined) first.push({ type: 'repos', repos: repoState });
      else drop(repoStore.begin(), log, 'Reading the store of package repositories');
      yield* publisher.subscribe(first, signal);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(machineTimer);
      library[Symbol.dispose]();
      repoStore[Symbol.dispose]();
      terminals.close();
      consoles.close();
      await serving[Symbol.asyncDispose]();
      await forwards[Symbol.asyncDispose]();
      await live[Symbol.asyncDispose]();
      await hosts[Symbol.asyncDispose]();
    },
  };
}
