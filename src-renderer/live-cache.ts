import { QueryClient as Client, type QueryClient, skipToken, useQuery } from '@tanstack/react-query';
import type { LiveEvent } from '../src-shared/contract.ts';
import { isExclusive, type OperationState } from '../src-shared/operation.ts';
import type { RepoStoreState } from '../src-shared/repos/repo-store-state.ts';
import type { ForwardState, LibraryState, MachineState, PrefixState } from '../src-shared/state.ts';
import type { TerminalState } from '../src-shared/terminal.ts';
import type { ConnectionState } from './engine-client.ts';

const PREFIXES = ['prefixes'] as const;
const OPERATIONS = ['operations'] as const;
const MACHINE = ['machine'] as const;
const LIBRARY = ['library'] as const;
const REPOS = ['repos'] as const;
const TERMINALS = ['terminals'] as const;
const FORWARDS = ['forwards'] as const;
const CONNECTION = ['connection'] as const;

/** A cache that only mirrors the engine's events: it never fetches, goes stale or evicts entries. */
export function createLiveCache(): QueryClient {
  return new Client({
    defaultOptions: {
      queries: { staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY, retry: false, networkMode: 'always' },
    },
  });
}

/** `list` with `item` replacing the one with its id, or appended. */
function put<T extends { readonly id: string }>(list: readonly T[], item: T): readonly T[] {
  const index = list.findIndex((other) => other.id === item.id);
  return index < 0 ? [...list, item] : list.with(index, item);
}

function without<T extends { readonly id: string }>(list: readonly T[], id: string): readonly T[] {
  return list.some((item) => item.id === id) ? list.filter((item) => item.id !== id) : list;
}

/** Applies an event to the cache. Changes that arrive before the first list are kept. */
export function applyLiveEvent(cache: QueryClient, event: LiveEvent): void {
  switch (event.type) {
    case 'prefixes':
      cache.setQueryData<readonly PrefixState[]>(PREFIXES, event.prefixes);
      return;
    case 'prefix':
      cache.setQueryData<readonly PrefixState[]>(PREFIXES, (list = []) => put(list, event.prefix));
      return;
    case 'prefix-gone':
      cache.setQueryData<readonly PrefixState[]>(PREFIXES, (list = []) => without(list, event.id));
      return;
    case 'operations':
      cache.setQueryData<readonly OperationState[]>(OPERATIONS, event.operations);
      return;
    case 'operation':
      cache.setQueryData<readonly OperationState[]>(OPERATIONS, (list = []) => put(list, event.operation));
      return;
    case 'operation-gone':
      cache.setQueryData<readonly OperationState[]>(OPERATIONS, (list = []) => without(list, event.id));
      return;
    case 'machine':
      cache.setQueryData<MachineState>(MACHINE, event.machine);
      return;
    case 'library':
      cache.setQueryData<LibraryState>(LIBRARY, event.library);
      return;
    case 'repos':
      cache.setQueryData<RepoStoreState>(REPOS, event.repos);
      return;
    case 'terminals':
      cache.setQueryData<readonly TerminalState[]>(TERMINALS, event.terminals);
      return;
    case 'forwards':
      cache.setQueryData<readonly ForwardState[]>(FORWARDS, event.forwards);
      return;
    default:
      event satisfies never;
  }
}

/** Records the connection's state; views show stale state while it is lost. */
export function applyConnection(cache: QueryClient, state: ConnectionState): void {
  cache.setQueryData<ConnectionState>(CONNECTION, (present) => {
    // A retry must not change the time since when the view is stale.
    if (present?.status === 'lost' && state.status === 'lost') return { ...state, since: present.since };
    return state;
  });
}

function useMirror<T>(key: readonly string[]): T | undefined {
  return useQuery<T>({ queryKey: key, queryFn: skipToken }).data;
}

/** All environments, in the engine's order; undefined until the engine has sent them. */
export function usePrefixes(): readonly PrefixState[] | undefined {
  return useMirror<readonly PrefixState[]>(PREFIXES);
}

/** One environment; undefined when it is gone or not known yet. */
export function usePrefix(id: string | undefined): PrefixState | undefined {
  return useQuery<readonly PrefixState[], Error, PrefixState | undefined>({
    queryKey: PREFIXES,
    queryFn: skipToken,
    select: (list) => list.find((prefix) => prefix.id === id),
  }).data;
}

/** All operations that are running or not yet dismissed, oldest first. */
export function useOperations(): readonly OperationState[] {
  return useMirror<readonly OperationState[]>(OPERATIONS) ?? [];
}

/** The machine's checks and free space; undefined until the engine has sent them. */
export function useMachine(): MachineState | undefined {
  return useMirror<MachineState>(MACHINE);
}

/** The template library; undefined until the engine has sent it. */
export function useLibrary(): LibraryState | undefined {
  return useMirror<LibraryState>(LIBRARY);
}

/** The store of package repositories; undefined until the engine has sent it. */
export function useRepoStore(): RepoStoreState | undefined {
  return useMirror<RepoStoreState>(REPOS);
}

/** The engine's terminal sessions; undefined until it has sent them. */
export function useTerminals(): readonly TerminalState[] | undefined {
  return useMirror<readonly TerminalState[]>(TERMINALS);
}

/** The open forwards to ports of a VM. */
export function useForwards(prefix: string, vm: string): readonly ForwardState[] {
  return (useMirror<readonly ForwardState[]>(FORWARDS) ?? []).filter((forward) => forward.prefix === prefix && forward.vm === vm);
}

/** State of the connection to the engine. */
export function useConnection(): ConnectionState {
  return useMirror<ConnectionState>(CONNECTION) ?? { status: 'connecting' };
}

const UNREACHABLE = { connecting: 'Connecting to the engine', connected: undefined, lost: 'The connection to the engine is lost' } as const;

/** Why the engine cannot be called now; undefined when it can. */
export function useUnreachable(): string | undefined {
  return UNREACHABLE[useConnection().status];
}

/** Whether an operation is still running. */
export function isRunning(operation: OperationState): boolean {
  return operation.status === 'running' || operation.status === 'cancelling';
}

/** The operation that is running on an environment and excludes others, if any. */
export function useRunningOperation(prefix: string): OperationState | undefined {
  return useOperations().find((operation) => operation.prefix === prefix && isRunning(operation) && isExclusive(operation.kind));
}

/** An operation that is running on an environment beside others, if any. */
export function useWorkBeside(prefix: string): OperationState | undefined {
  return useOperations().find((operation) => operation.prefix === prefix && isRunning(operation) && !isExclusive(operation.kind));
}

/** Fills the cache with the last known environments until the engine sends its own. */
export function applyLastKnown(cache: QueryClient, prefixes: readonly PrefixState[]): void {
  cache.setQueryData<readonly PrefixState[]>(PREFIXES, prefixes);
}

/** The current list, outside a component. */
export function readPrefixes(cache: QueryClient): readonly PrefixState[] {
  return cache.getQueryData<readonly PrefixState[]>(PREFIXES) ?? [];
}
