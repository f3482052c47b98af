import { useEffect, useEffectEvent, useState } from 'react';
import type { WireError } from '../../src-shared/errors.ts';
import { type EngineClient, readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';

/** What the engine answered so far. */
export interface Asked<T> {
  readonly answer: T | undefined;
  readonly error: WireError | undefined;
}

/** Asks the engine when the component is shown, and again when `key` changes. */
export function useAsked<T>(key: string, ask: (client: EngineClient) => Promise<T>): Asked<T> {
  const { connection } = useEngine();
  const [asked, setAsked] = useState<Asked<T>>({ answer: undefined, error: undefined });
  const read = useEffectEvent(async (isGone: () => boolean) => {
    try {
      const answer = await ask(connection.client);
      if (!isGone()) setAsked({ answer, error: undefined });
    } catch (cause) {
      if (!isGone()) setAsked({ answer: undefined, error: readError(cause) });
    }
  });
  useEffect(() => {
    let gone = false;
    void read(() => gone);
    return () => {
      gone = true;
    };
  }, [key]);
  return asked;
}
