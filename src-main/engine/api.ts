import { implement, ORPCError } from '@orpc/server';
import { contract } from '../../src-shared/contract.ts';
import { exitCodeOf, toWireError } from '../../src-shared/errors.ts';
import { REPO_ACCESSES_KEPT } from '../../src-shared/repos/repo-access.ts';
import { type VerbNoun, type Verbs, verbsOf } from '../../src-shared/verbs.ts';
import { callVerb } from './call-verb.ts';
import type { Engine } from './engine.ts';
import type { StreamTable } from './streams.ts';
import { watchInitFile } from './watch-init-file.ts';

const DAY_MS = 24 * 3600 * 1000;

/** Calls that the front door itself handles (the engine knows no windows). */
export interface FrontDoor {
  readonly version: string;
  /** File to show at start, once. */
  open(): string | null;
  /** The user's answer to "operations are running, close?". */
  leave(choice: 'keep' | 'cancel' | 'stay'): Promise<boolean>;
  /** Shows a file in the system's file manager, without opening it. */
  showInFolder(path: string): void;
}

export interface RouterDeps {
  readonly engine: Engine;
  readonly streams: StreamTable;
  readonly app: FrontDoor;
}

/** Implements the contract on an engine, one line per call. Errors become oRPC errors whose `data` is the WireError. */
export function createRouter({ engine, streams, app }: RouterDeps) {
  const os = implement(contract).use(async ({ next }) => {
    try {
      return await next();
    } catch (error) {
      if (error instanceof ORPCError) throw error;
      const wire = toWireError(error);
      throw new ORPCError(wire.code, { status: 400 + exitCodeOf(wire.code), message: wire.message, data: wire, cause: error });
    }
  });
  const path = (id: string): string => engine.prefix.pathOf(id);
  const pathIfAny = (id: string | undefined): string | undefined => (id === undefined ? undefined : path(id));
  const started = (operation: { readonly id: string }): { operation: string } => ({ operation: operation.id });

  type HandlersOf<Noun extends VerbNoun> = {
    readonly [Name in keyof Verbs[Noun] & keyof (typeof os)[Noun]]: (typeof os)[Noun][Name] extends {
      handler(...args: never[]): infer Handler;
    }
      ? Handler
      : never;
  };
  /** The handlers of a noun's verbs. The table gives the contract's input and the engine's argument the same type. */
  function handlersOf<Noun extends VerbNoun>(noun: Noun): HandlersOf<Noun> {
    const calls = os[noun] as unknown as Readonly<Record<string, typeof os.prefix.start>>;
    const handlers = verbsOf(noun).map((verb) => [
      verb.name,
      calls[verb.name]?.handler(({ input: { prefix, ...input } }) => started(callVerb(engine, verb, path(prefix), input))),
    ]);
    return Object.fromEntries(handlers) as HandlersOf<Noun>;
  }

  return os.router({
    live: os.live.handler(async function* ({ signal }) {
      yield* engine.live(signal ?? new AbortController().signal);
    }),
    app: {
      info: os.app.info.handler(async () => ({
        version: app.version,
        samples: [...(await engine.initFile.samples())],
        recent: [...(await engine.prefix.recent())],
        workdir: engine.workdir,
        open: app.open(),
      })),
      leave: os.app.leave.handler(async ({ input }) => ({ left: await app.leave(input.choice) })),
    },
    initFile: {
      inspect: os.initFile.inspect.handler(async ({ input: { path: file, ...about } }) => await engine.initFile.inspect(file, about)),
      changes: os.initFile.changes.handler(async function* ({ input, signal }) {
        yield* watchInitFile(input.path, signal ?? new AbortController().signal);
      }),
    },
    prefix: {
      create: os.prefix.create.handler(({ input }) => started(engine.prefix.create(input))),
      ...handlersOf('prefix'),
      deployOutput: os.prefix.deployOutput.handler(async function* ({ input, signal }) {
        yield* engine.prefix.deployOutput(path(input.prefix), input.vm, input.script, signal ?? new AbortController().signal);
      }),
      fork: os.prefix.fork.handler(({ input: { prefix, ...wanted } }) => started(engine.prefix.fork(path(prefix), wanted))),
      exportSnapshot: os.prefix.exportSnapshot.handler(({ input: { prefix, ...wanted } }) =>
        started(engine.prefix.exportSnapshot(path(prefix), wanted)),
      ),
      exportedSnapshot: os.prefix.exportedSnapshot.handler(async ({ input }) => ({
        exported: (await engine.prefix.exportedSnapshot(input.path)) ?? null,
      })),
      resumeExported: os.prefix.resumeExported.handler(({ input }) => started(engine.prefix.resumeExported(input))),
      export: os.prefix.export.handler(({ input: { prefix, ...wanted } }) => started(engine.prefix.export(path(prefix), wanted))),
      collect: os.prefix.collect.handler(({ input: { prefix, ...wanted } }) => started(engine.prefix.collect(path(prefix), wanted))),
      open: os.prefix.open.handler(async ({ input }) => ({ prefixes: [...(await engine.prefix.open(input.path))] })),
      numbers: os.prefix.numbers.handler(async function* ({ input, signal }) {
        yield* engine.prefix.numbers(path(input.prefix), signal ?? new AbortController().signal);
      }),
      forget: os.prefix.forget.handler(async ({ input }) => {
        await engine.prefix.forget(input.prefix);
        return {};
      }),
    },
    snapshot: {
      ...handlersOf('snapshot'),
      compare: os.snapshot.compare.handler(({ input: { prefix, ...points } }) => started(engine.snapshot.compare(path(prefix), points))),
      changes: os.snapshot.changes.handler(async ({ input: { prefix, ...points } }) => ({
        changes: await engine.snapshot.changes(path(prefix), points),
      })),
      changedText: os.snapshot.changedText.handler(
        async ({ input: { prefix, path: file, ...points }, signal }) =>
          await engine.snapshot.changedText(path(prefix), points, file, signal),
      ),
      removalPlan: os.snapshot.removalPlan.handler(
        async ({ input: { prefix, ...what } }) => await engine.snapshot.removalPlan(path(prefix), what),
      ),
      revertPlan: os.snapshot.revertPlan.handler(async ({ input }) => await engine.snapshot.revertPlan(path(input.prefix), input.name)),
    },
    collection: {
      list: os.collection.list.handler(async ({ input }) => ({ collections: [...(await engine.collection.list(path(input.prefix)))] })),
      files: os.collection.files.handler(async ({ input }) => ({
        files: [...(await engine.collection.files(path(input.prefix), input.collection, input.path))],
      })),
      read: os.collection.read.handler(
        async ({ input }) => await engine.collection.read(path(input.prefix), input.collection, input.path, input.from, input.length),
      ),
      compare: os.collection.compare.handler(async ({ input }) => ({
        changes: [...(await engine.collection.compare(path(input.prefix), input.before, input.after))],
      })),
      diff: os.collection.diff.handler(
        async ({ input }) => await engine.collection.diff(path(input.prefix), input.before, input.after, input.path),
      ),
      save: os.collection.save.handler(({ input }) =>
        started(engine.collection.save(path(input.prefix), input.collection, input.path, input.destination)),
      ),
      show: os.collection.show.handler(async ({ input }) => {
        app.showInFolder(await engine.collection.pathOf(path(input.prefix), input.collection, input.path));
        return {};
      }),
      remove: os.collection.remove.handler(async ({ input }) => {
        await engine.collection.remove(path(input.prefix), input.collection);
        return {};
      }),
    },
    vm: {
      sshCommand: os.vm.sshCommand.handler(async ({ input }) => ({ command: await engine.vm.sshCommand(path(input.prefix), input.vm) })),
      rootPassword: os.vm.rootPassword.handler(async ({ input }) => ({
        password: (await engine.vm.rootPasswords(path(input.prefix)))[input.vm] ?? null,
      })),
      copyTo: os.vm.copyTo.handler(({ input: { prefix, ...request } }) => started(engine.vm.copyTo(path(prefix), request))),
      copyFrom: os.vm.copyFrom.handler(({ input: { prefix, ...request } }) => started(engine.vm.copyFrom(path(prefix), request))),
      change: os.vm.change.handler(({ input }) => started(engine.vm.change(path(input.prefix), input.vm, input.change))),
    },
    forward: {
      open: os.forward.open.handler(async ({ input: { prefix, ...request } }) => ({
        localPort: (await engine.vm.forward(path(prefix), request)).localPort,
      })),
      close: os.forward.close.handler(async ({ input }) => {
        await engine.vm.closeForward(input.forward);
        return {};
      }),
    },
    terminal: {
      open: os.terminal.open.handler(async ({ input, signal }) => {
        const opened =
          input.kind === 'screen'
            ? { stream: await engine.vm.screen(path(input.prefix), input.vm, signal), resize: undefined }
            : await engine.terminal.open({ ...input, kind: input.kind });
        const { stream, resize } = opened;
        // The page went away in the meantime: nobody will take the stream.
        if (signal?.aborted === true) stream.destroy();
        return { stream: streams.add(stream, resize) };
      }),
      close: os.terminal.close.handler(({ input }) => {
        engine.terminal.close(input.session);
        return {};
      }),
      resize: os.terminal.resize.handler(({ input }) => {
        streams.resize(input.stream, input.columns, input.rows);
        return {};
      }),
    },
    operation: {
      cancel: os.operation.cancel.handler(({ input }) => {
        engine.operation.get(input.operation)?.cancel();
        return {};
      }),
      pause: os.operation.pause.handler(({ input }) => {
        engine.operation.get(input.operation)?.pause();
        return {};
      }),
      resume: os.operation.resume.handler(({ input }) => {
        engine.operation.get(input.operation)?.resume();
        return {};
      }),
      hurry: os.operation.hurry.handler(({ input }) => {
        engine.operation.get(input.operation)?.hurry();
        return {};
      }),
      log: os.operation.log.handler(async function* ({ input, signal }) {
        for await (const lines of engine.operation.log(input.operation, signal ?? new AbortController().signal)) yield [...lines];
      }),
      dismiss: os.operation.dismiss.handler(({ input }) => {
        engine.operation.dismiss(input.operation);
        return {};
      }),
    },
    library: {
      fetch: os.library.fetch.handler(({ input }) => started(engine.library.fetch(input.template))),
      verify: os.library.verify.handler(({ input }) => started(engine.library.verify(input.template))),
      evict: os.library.evict.handler(({ input }) => started(engine.library.evict(input.template))),
      evictUnused: os.library.evictUnused.handler(({ input }) => started(engine.library.evictUnused(input.olderThanDays * DAY_MS))),
      addRepository: os.library.addRepository.handler(({ input }) => started(engine.library.addRepository(input.url))),
      updateRepositories: os.library.updateRepositories.handler(() => started(engine.library.updateRepositories())),
    },
    repos: {
      explain: os.repos.explain.handler(
        async ({ input: { prefix, ...request } }) => await engine.repos.explain(pathIfAny(prefix), request),
      ),
      sync: os.repos.sync.handler(({ input: { prefix, ...request } }) => started(engine.repos.sync(pathIfAny(prefix), request))),
      syncStored: os.repos.syncStored.handler(({ input }) => started(engine.repos.syncStored(input))),
      unused: os.repos.unused.handler(async ({ signal }) => {
        const unused = await engine.repos.clean({ names: [], dryRun: true }, signal);
        return { repos: unused.map(({ name, bytes }) => ({ name, size: bytes })) };
      }),
      remove: os.repos.remove.handler(({ input }) => started(engine.repos.remove(input.names))),
      changes: os.repos.changes.handler(async ({ input }) => await engine.repos.changes(input.name)),
      show: os.repos.show.handler(async ({ input }) => {
        app.showInFolder(await engine.repos.pathOf(input.name));
        return {};
      }),
      merge: os.repos.merge.handler(({ input: { prefix, ...wanted } }) =>
        started(engine.repos.merge(path(prefix), { ...wanted, folder: path(prefix), ownSynced: true })),
      ),
      merged: os.repos.merged.handler(async ({ input, signal }) => await engine.repos.merged(path(input.prefix), signal)),
      serve: os.repos.serve.handler(async ({ input, signal }) => ({ url: await engine.repos.startServing(path(input.prefix), signal) })),
      stopServing: os.repos.stopServing.handler(async ({ input, signal }) => {
        await engine.repos.stopServing(path(input.prefix), signal);
        return {};
      }),
      accesses: os.repos.accesses.handler(async function* ({ input, signal }) {
        const accesses = engine.repos.follow(path(input.prefix), signal ?? new AbortController().signal, REPO_ACCESSES_KEPT);
        for await (const piece of accesses) yield [...piece];
      }),
    },
    machine: {
      check: os.machine.check.handler(async () => {
        await engine.machine.check();
        return {};
      }),
    },
  });
}
