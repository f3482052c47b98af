import type { ActionOptions, Operation } from '../engine/index.ts';

/** For every call that waits: an aborted `signal` cancels it, undoes its work, and rejects with code `cancelled`. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Begins an operation and returns its result; its steps and log lines go to the engine's log. */
export type Follow = <T>(begin: (options: ActionOptions) => Operation<T>, options: CallOptions | undefined) => Promise<T>;
