import { useEffect, useRef } from 'react';
import type { EngineConnection } from '../engine-client.ts';
import { useConnection, useTerminals } from '../live-cache.ts';
import type { TerminalSession, WindowAction } from '../window-state.ts';

/** Brings back the tabs of sessions that the engine kept while this page was loaded, and ends the session of a tab that is closed. */
export function useKeptSessions(
  connection: EngineConnection,
  sessions: readonly TerminalSession[],
  dispatch: (action: WindowAction) => void,
): void {
  const kept = useTerminals();
  const connected = useConnection().status === 'connected';
  const restored = useRef(false);
  useEffect(() => {
    if (restored.current || !connected || kept === undefined) return;
    restored.current = true;
    dispatch({ type: 'kept-sessions', sessions: kept.map(({ id, prefix, vm, kind }) => ({ id, prefix, vm, kind })) });
  }, [kept, connected, dispatch]);

  const shown = useRef<readonly TerminalSession[]>([]);
  useEffect(() => {
    const closed = shown.current.filter(({ id, kind }) => kind !== 'screen' && !sessions.some((session) => session.id === id));
    shown.current = sessions;
    for (const { id } of closed) void endSession(connection, id);
  }, [connection, sessions]);
}

async function endSession(connection: EngineConnection, session: string): Promise<void> {
  try {
    await connection.client.terminal.close({ session });
  } catch {
    // Without an engine there is no session either.
  }
}
