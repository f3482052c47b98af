import type { LiveEvent } from '../../src-shared/contract.ts';
import type { ForwardState } from '../../src-shared/state.ts';
import { drop, type Log } from './core/log.ts';
import type { Forward, ForwardRequest } from './runtime/forward-request.ts';
import type { RecipeContext } from './runtime/recipe.ts';

/** The forwards of this process. */
export interface Forwards extends AsyncDisposable {
  open(root: string, request: ForwardRequest): Promise<Forward>;
  close(id: string): Promise<void>;
  states(): readonly ForwardState[];
}

export interface ForwardsOptions {
  readonly log: Log;
  /** Id of the known environment at this path. */
  readonly idOf: (path: string) => string | undefined;
  readonly publish: (event: LiveEvent) => void;
}

/** Keeps forwards open until they end or the engine closes, and publishes each change of the list. */
export function createForwards(context: RecipeContext, { log, idOf, publish }: ForwardsOptions): Forwards {
  const open = new Map<string, { readonly forward: Forward; readonly prefix: string }>();
  const states = (): ForwardState[] =>
    [...open.values()].map(({ forward: { id, vm, port, localPort }, prefix }) => ({ id, prefix, vm, port, localPort }));
  return {
    async open(root, request) {
      const { openForward } = await import('./runtime/forward.ts');
      const forward = await openForward(context, root, request, log);
      open.set(forward.id, { forward, prefix: idOf(root) ?? '' });
      const forget = async (): Promise<void> => {
        await forward.ended;
        open.delete(forward.id);
        publish({ type: 'forwards', forwards: states() });
      };
      drop(forget(), log, `Forwarding to ${forward.vm}:${forward.port}`);
      publish({ type: 'forwards', forwards: states() });
      return forward;
    },
    close: async (id) => await open.get(id)?.forward[Symbol.asyncDispose](),
    states,
    async [Symbol.asyncDispose]() {
      await Promise.all([...open.values()].map(async ({ forward }) => await forward[Symbol.asyncDispose]()));
    },
  };
}
