import { implement, ORPCError } from '@orpc/server';
import { contract } from '../../src-shared/contract.ts';
import { exitCodeOf, toWireError } from '../../src-shared/errors.ts';
import type { Engine } from './engine.ts';
import type { StreamTable } from './streams.ts';
import { openTerminal } from './terminals.ts';
import { watchInitFile } from './watch-init-file.ts';

const DAY_MS = 24 * 3600 * 1000;

/** What the front door itself answers (the engine knows no windows). */
export interface FrontDoor {
  readonly version: string;
  /** File to show at start, once. */
  open(): string | null;
  /** The user's answer to "operations are running, close?". */
  leave(choice: 'keep' | 'cancel' | 'stay'): Promise<boolean>;
}

export interface RouterDeps {
  readonly engine: Engine;
  readonly streams: StreamTable;
  readonly app: FrontDoor;
}

/** The contract on an engine, one line per call. Errors become oRPC errors whose `data` is the WireError. */
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
  const path = (id: string): string => engine.pathOf(id);
  const started = (operation: { readonly id: string }): { operation: string } => ({ operation: operation.id });

  return os.router({
    live: os.live.handler(async function* ({ signal }) {
      yield* engine.live(signal ?? new AbortController().signal);
    }),
    app: {
      info: os.app.info.handler(async () => ({
        version: app.version,
        samples: [...(await engine.samples())],
        recent: [...(await engine.recent())],
        workdir: engine.workdir,
        open: app.open(),
      })),
      leave: os.app.leave.handler(async ({ input }) => ({ left: await app.leave(input.choice) })),
    },
    initFile: {
      inspect: os.initFile.inspect.handler(
        async ({ input }) => await engine.inspect(input.path, { host: input.host, allowPaths: input.allowPaths }),
      ),
      changes: os.initFile.changes.handler(async function* ({ input, signal }) {
        yield* watchInitFile(input.path, signal ?? new AbortController().signal);
      }),
    },
    prefix: {
      create: os.prefix.create.handler(({ input }) => started(engine.create(input))),
      start: os.prefix.start.handler(({ input }) => started(engine.start(path(input.prefix), input.vms))),
      stop: os.prefix.stop.handler(({ input }) => started(engine.stop(path(input.prefix), input.vms))),
      destroy: os.prefix.destroy.handler(({ input }) => started(engine.destroy(path(input.prefix)))),
      export: os.prefix.export.handler(({ input: { prefix, ...wanted } }) => started(engine.export(path(prefix), wanted))),
      open: os.prefix.open.handler(async ({ input }) => ({ prefixes: [...(await engine.openPath(input.path))] })),
      forget: os.prefix.forget.handler(async ({ input }) => {
        await engine.forget(input.prefix);
        return {};
      }),
    },
    snapshot: {
      create: os.snapshot.create.handler(({ input }) => started(engine.snapshot(path(input.prefix), input.name))),
      revert: os.snapshot.revert.handler(({ input }) => started(engine.revert(path(input.prefix), input.name, input.first))),
      remove: os.snapshot.remove.handler(({ input }) => started(engine.removeSnapshot(path(input.prefix), input.name))),
    },
    terminal: {
      open: os.terminal.open.handler(async ({ input, signal }) => {
        const { stream, resize } = await openTerminal(engine, path(input.prefix), input, signal);
        // The page went away in between: nobody will take it.
        if (signal?.aborted === true) stream.destroy();
        return { stream: streams.add(stream, resize) };
      }),
      resize: os.terminal.resize.handler(({ input }) => {
        streams.resize(input.stream, input.columns, input.rows);
        return {};
      }),
    },
    operation: {
      cancel: os.operation.cancel.handler(({ input }) => {
        engine.operation(input.operation)?.cancel();
        return {};
      }),
      pause: os.operation.pause.handler(({ input }) => {
        engine.operation(input.operation)?.pause();
        return {};
      }),
      resume: os.operation.resume.handler(({ input }) => {
        engine.operation(input.operation)?.resume();
        return {};
      }),
      dismiss: os.operation.dismiss.handler(({ input }) => {
        engine.dismissOperation(input.operation);
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
    machine: {
      check: os.machine.check.handler(async () => {
        await engine.checkMachine();
        return {};
      }),
    },
  });
}
