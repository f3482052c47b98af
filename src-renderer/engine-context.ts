import { createContext, use } from 'react';
import type { WireError } from '../src-shared/errors.ts';
import { type EngineClient, type EngineConnection, readError } from './engine-client.ts';

/** An error or a result that has no place of its own on the page. */
export type Notice = { readonly id: number } & ({ readonly title: string; readonly error: WireError } | Result);

/** What a task creates, announced when it has succeeded. */
export interface Result {
  readonly title: string;
  readonly message: string;
  readonly path: string;
}

export interface EngineContextValue {
  readonly connection: EngineConnection;
  /** Shows an error over the page until the user dismisses it. */
  readonly notify: (title: string, error: WireError) => void;
  /** Shows this once the operation has succeeded; failures appear in the task list. */
  readonly expect: (operation: string, result: Result) => void;
}

export const EngineContext = createContext<EngineContextValue | null>(null);

/** The engine, for pages and the shell; components below them take values and callbacks. */
export function useEngine(): EngineContextValue {
  const context = use(EngineContext);
  if (context === null) throw new Error('useEngine outside of the shell');
  return context;
}

/**
 * Calls the engine in response to a click. Returns its answer; on failure shows a notice titled `failed` ("Could not start demo") and
 * returns undefined. Resulting changes arrive through the live cache.
 */
export function useCall(): <T>(failed: string, call: (client: EngineClient) => Promise<T>) => Promise<T | undefined> {
  const { connection, notify } = useEngine();
  return async (failed, call) => {
    try {
      return await call(connection.client);
    } catch (error) {
      notify(failed, readError(error));
      return undefined;
    }
  };
}
