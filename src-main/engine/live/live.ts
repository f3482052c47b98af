import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LiveEvent } from '../../../src-shared/contract.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import { drop, type Log } from '../core/log.ts';
import { type Prefix, readPrefix } from '../prefix/prefix.ts';
import { type PendingWork, readRecord } from '../prefix/record.ts';
import { observe, prefixState } from '../runtime/observed/state.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';
import { type AddressBook, createAddressBook } from './address-book.ts';
import { type BootWatches, createBootWatches } from './boot-watches.ts';
import type { KnownEnvironments } from './known.ts';
import { createPackageWatch, type PackageWatch } from './package-watch.ts';
import { createServerWatch, type ServerWatch } from './server-watch.ts';

const SETTLE_MS = 40;
const HOLDER_EVERY_MS = 1000;
/** Pause before a host that does not respond is asked again: its state is right within 2 s of its recovery. */
const UNANSWERED_EVERY_MS = 1000;

export interface LiveOptions {
  readonly known: KnownEnvironments;
  readonly context: RecipeContext;
  readonly log: Log;
  readonly publish: (event: LiveEvent) => void;
  /** Called once for each interrupted operation that can be finished or undone. */
  readonly interrupted: (path: string, work: PendingWork) => void;
}

/**
 * Keeps the state of every known environment up to date: file changes and libvirt events trigger a refresh, and each changed value is
 * published once. Nothing polls, except while a host does not respond or a process holds the lock, and for servers of addresses and of
 * packages: no event tells that a host recovered, that the holder was killed, or that a server died.
 */
export interface Live extends AsyncDisposable {
  /** Reads everything once and begins to watch. Returns the current states. */
  begin(): Promise<readonly PrefixState[]>;
  states(): readonly PrefixState[];
  /** Path of a known environment by its id. */
  pathOf(id: string): string | undefined;
  /** Schedules a refresh (after a recipe changed something). */
  touch(path: string): void;
  /** Reads the list of known environments again. */
  reload(): Promise<void>;
}

interface Entry {
  readonly path: string;
  readonly watcher: FSWatcher | undefined;
  state: PrefixState | undefined;
  session: HostSession | undefined;
  unsubscribe: () => void;
  readonly boots: BootWatches;
  readonly servers: ServerWatch;
  readonly packages: PackageWatch;
  readonly addresses: AddressBook;
  timer: NodeJS.Timeout | undefined;
  /** When it fires. */
  due: number;
  /** Consecutive failures to read it. */
  unreadable: number;
  /** Start time of the interrupted work that was already reported. */
  told: number | undefined;
  reading: boolean;
  again: boolean;
}

export function createLive(options: LiveOptions): Live {
  const { known, context, log, publish, interrupted } = options;
  const { hosts, plugins } = context;
  const entries = new Map<string, Entry>();
  let listWatcher: FSWatcher | undefined;
  /** The last reading of the list. */
  let listed: Promise<unknown> = Promise.resolve();
  let closed = false;

  function schedule(entry: Entry, afterMs = SETTLE_MS): void {
    const due = Date.now() + afterMs;
    if (closed || (entry.timer !== undefined && entry.due <= due)) return;
    clearTimeout(entry.timer);
    entry.due = due;
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      drop(refresh(entry), log, `Reading ${entry.path}`);
    }, afterMs);
  }

  /** Looks again at a host that does not respond, and at whether the lock's holder lives: no event tells of either. */
  function askAgain(entry: Entry, state: PrefixState): void {
    if (state.host.status === 'unusable') schedule(entry, UNANSWERED_EVERY_MS);
    else if (state.busy !== null || isDeploying(state)) schedule(entry, HOLDER_EVERY_MS);
    entry.unreadable = 0;
  }

  async function tellInterrupted(entry: Entry, prefix: Prefix, state: PrefixState): Promise<void> {
    const pending = prefix.record?.pending ?? null;
    if (pending === null || pending.kind === 'destroy' || state.busy !== null || state.host.status === 'unusable') return;
    // The record was read before the lock's holder: a verb may have ended in between.
    const still = (await readRecord(prefix.paths.record))?.pending ?? null;
    if (still?.since !== pending.since || entry.told === pending.since || closed) return;
    entry.told = pending.since;
    interrupted(entry.path, pending);
  }

  async function refresh(entry: Entry): Promise<void> {
    if (entry.reading) {
      entry.again = true;
      return;
    }
    entry.reading = true;
    try {
      await readOnce(entry);
    } finally {
      entry.reading = false;
      if (entry.again) {
        entry.again = false;
        schedule(entry);
      }
    }
  }

  async function readOnce(entry: Entry): Promise<void> {
    let state: PrefixState;
    let prefix: Prefix;
    try {
      prefix = await readPrefix(entry.path);
      const seen = await observe(prefix, hosts, { plugins, log });
      // A host that does not respond is followed further: its client tells when it responds again.
      if (seen.problem === null) follow(entry, seen.session);
      entry.boots.update(prefix, seen);
      entry.servers.update(prefix, seen);
      entry.addresses.update(prefix, seen, (vm) => entry.boots.note(vm)?.ssh === 'ready');
      state = await prefixState(prefix, hosts, seen, {
        notes: (vm) => entry.boots.note(vm),
        addresses: (vm) => entry.addresses.of(vm),
      });
      entry.packages.update(prefix, seen.session, state.packages?.served.length ?? 0);
    } catch (error) {
      await gone(entry, error);
      return;
    }
    if (closed || entries.get(entry.path) !== entry) return;
    const changed = JSON.stringify(state) !== JSON.stringify(entry.state);
    entry.state = state;
    if (changed) publish({ type: 'prefix', prefix: state });
    askAgain(entry, state);
    await tellInterrupted(entry, prefix, state);
  }

  /** Removes a vanished folder from the list; an unreadable one stays, shown as broken with the reason. */
  async function gone(entry: Entry, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof EngineError ? error.code : 'internal';
    const missing = code === 'prefix.missing';
    if (!missing && !code.startsWith('input.')) {
      // Its files are fine: keep the last state and try again.
      log.warn(`${entry.path}: ${message}`);
      schedule(entry, Math.min(5000, 1000 * ++entry.unreadable));
      return;
    }
    if (!missing && entry.state !== undefined) {
      entry.state = { ...entry.state, phase: 'broken', problem: message };
      publish({ type: 'prefix', prefix: entry.state });
      return;
    }
    log.debug(`${entry.path}: ${message}`);
    if (missing) await known.remove(entry.path);
    forget(entry);
  }

  function forget(entry: Entry): void {
    if (entries.get(entry.path) !== entry) return;
    entries.delete(entry.path);
    close(entry);
    if (entry.state !== undefined) publish({ type: 'prefix-gone', id: entry.state.id });
  }

  function close(entry: Entry): void {
    clearTimeout(entry.timer);
    entry.watcher?.close();
    entry.unsubscribe();
    entry.boots.close();
    entry.servers.close();
    entry.packages.close();
    entry.addresses.close();
  }

  function follow(entry: Entry, session: HostSession | undefined): void {
    if (session === entry.session) return;
    entry.unsubscribe();
    entry.session = session;
    entry.unsubscribe =
      session?.hypervisor.onEvent((event) => {
        if (event.type === 'domain' && event.event === 'rebooted') entry.boots.rebooted(event.name);
        if (event.type === 'agent') entry.boots.agent(event.name, event.connected);
        if (event.type === 'agent' && event.connected) entry.addresses.agentAnswers(event.name);
        schedule(entry);
      }) ?? (() => undefined);
  }

  function watchFolder(path: string, onChange: () => void): FSWatcher | undefined {
    try {
      const watcher = watch(path, onChange);
      watcher.on('error', () => onChange());
      return watcher;
    } catch (error) {
      log.debug(`${path} cannot be watched: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  function add(path: string): Entry {
    // A recipe in any process writes the prefix's lock file when it begins and ends, so watching the folder shows both.
    const entry: Entry = {
      path,
      watcher: watchFolder(path, () => {
        const found = entries.get(path);
        if (found !== undefined) schedule(found);
      }),
      state: undefined,
      session: undefined,
      unsubscribe: () => undefined,
      boots: createBootWatches(context, log, () => schedule(entry)),
      servers: createServerWatch(log, () => schedule(entry)),
      packages: createPackageWatch(log, () => schedule(entry)),
      addresses: createAddressBook(log, () => schedule(entry)),
      timer: undefined,
      due: 0,
      unreadable: 0,
      told: undefined,
      reading: false,
      again: false,
    };
    entries.set(path, entry);
    return entry;
  }

  /** One after the other: a list that was read earlier must not take back what a newer one has added. */
  async function reload(): Promise<void> {
    const mine = readList(listed);
    listed = mine;
    await Promise.all((await mine).map(refresh));
  }

  /** Returns the entries that are new. */
  async function readList(after: Promise<unknown>): Promise<readonly Entry[]> {
    await Promise.allSettled([after]);
    const paths = new Set(await known.list());
    if (closed) return [];
    for (const entry of [...entries.values()]) if (!paths.has(entry.path)) forget(entry);
    return [...paths].filter((path) => !entries.has(path)).map(add);
  }

  return {
    async begin() {
      await mkdir(dirname(known.file), { recursive: true });
      listWatcher = watchFolder(dirname(known.file), () => drop(reload(), log, 'Reading the list of environments'));
      await reload();
      return this.states();
    },
    states: () => [...entries.values()].flatMap((entry) => (entry.state === undefined ? [] : [entry.state])),
    pathOf: (id) => [...entries.values()].find((entry) => entry.state?.id === id)?.path,
    touch(path) {
      const entry = entries.get(path);
      if (entry !== undefined) schedule(entry);
    },
    reload,
    async [Symbol.asyncDispose]() {
      closed = true;
      listWatcher?.close();
      for (const entry of entries.values()) close(entry);
      entries.clear();
      await Promise.resolve();
    },
  };
}

function isDeploying(state: PrefixState): boolean {
  return state.deploy.some(({ scripts }) => scripts.some((script) => script.state === 'running'));
}
