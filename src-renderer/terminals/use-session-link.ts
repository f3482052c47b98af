import { useEffect, useEffectEvent, useRef, useState } from 'react';
import type { TerminalStatus } from '../../src-shared/terminal.ts';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useConnection, useOperations, usePrefix, useTerminals } from '../live-cache.ts';
import type { TerminalSession } from '../window-state.ts';
import { type LinkOptions, type LinkState, SessionLink } from './session-link.ts';

/** What a pane provides: its size, and handlers for incoming data. */
export type SessionSink = Pick<LinkOptions, 'onOpen' | 'onData' | 'onDrain' | 'onNotice'> & {
  size(): { readonly columns: number; readonly rows: number };
};

/**
 * A link for a session. A screen's reconnects after reverts and reboots; a terminal's only to the engine, which keeps the session and does the rest. `ready` false delays the first connection until the pane can
 * show something; the sink is read on each use.
 */
export function useSessionLink(
  session: TerminalSession,
  ready: boolean,
  sink: SessionSink,
): { readonly state: TerminalStatus; readonly link: () => SessionLink | null } {
  const { connection } = useEngine();
  const prefix = usePrefix(session.prefix);
  const operations = useOperations();
  const terminals = useTerminals();
  const connected = useConnection().status === 'connected';
  const vm = prefix?.vms.find((one) => one.name === session.vm);
  const running = vm?.status === 'running';
  const [state, setState] = useState<LinkState>('connecting');
  const link = useRef<SessionLink | null>(null);
  const lastRevert = operations.findLast(
    (operation) => operation.prefix === session.prefix && operation.kind === 'revert' && operation.status === 'succeeded',
  );

  const open = useEffectEvent((): SessionLink => {
    const { prefix: id, vm: name, kind } = session;
    return new SessionLink({
      connect: async (events, signal) => {
        const { columns, rows } = sink.size();
        const { stream } = await connection.client.terminal.open(
          { prefix: id, vm: name, kind, columns, rows, session: session.id },
          { signal },
        );
        return { stream, channel: await connection.attach(stream, events, signal) };
      },
      readError,
      isRunning: () => isRunning(),
      onState: setState,
      onOpen: (stream) => onOpen(stream),
      onData: (bytes, taken) => onData(bytes, taken),
      onDrain: () => onDrain(),
      onNotice: (sentence) => onNotice(sentence),
      endsByUser: kind !== 'screen',
    });
  });
  const isRunning = useEffectEvent(() => connected && (running || session.kind !== 'screen'));
  const onOpen = useEffectEvent(sink.onOpen);
  const onData = useEffectEvent(sink.onData);
  const onNotice = useEffectEvent(sink.onNotice);
  const onDrain = useEffectEvent(() => sink.onDrain?.());

  useEffect(() => {
    if (!ready) return undefined;
    const made = open();
    link.current = made;
    made.start();
    return () => {
      link.current = null;
      made.close();
    };
  }, [ready]);

  useEffect(() => {
    link.current?.checkVm();
  }, [running, connected]);

  // A stream that was open during a revert talks to a guest that has forgotten it.
  const revertedAt = lastRevert?.endedAt ?? 0;
  useEffect(() => {
    const present = link.current;
    if (present !== null && session.kind === 'screen' && revertedAt > 0 && present.state === 'connected' && present.openedAt < revertedAt)
      present.renew('the VM was reverted');
  }, [revertedAt, session.kind]);

  const kept = terminals?.find(({ id }) => id === session.id)?.status;
  // While the page is attached, the engine knows better.
  return { state: session.kind !== 'screen' && state === 'connected' ? (kept ?? 'connecting') : state, link: () => link.current };
}
