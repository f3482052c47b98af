import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useConnection, useOperations, usePrefix } from '../live-cache.ts';
import type { TerminalSession } from '../window-state.ts';
import { type LinkOptions, type LinkState, SessionLink } from './session-link.ts';

/** What a pane provides: its size, and handlers for incoming data. */
export type SessionSink = Pick<LinkOptions, 'onOpen' | 'onData' | 'onDrain' | 'onNotice'> & {
  size(): { readonly columns: number; readonly rows: number };
};

/**
 * A link for a session that survives reverts, reboots and a lost engine. `ready` false delays the first connection until the pane can
 * show something; the sink is read on each use.
 */
export function useSessionLink(
  session: TerminalSession,
  ready: boolean,
  sink: SessionSink,
): { readonly state: LinkState; readonly link: () => SessionLink | null } {
  const { connection } = useEngine();
  const prefix = usePrefix(session.prefix);
  const operations = useOperations();
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
        const { stream } = await connection.client.terminal.open({ prefix: id, vm: name, kind, columns, rows }, { signal });
        return { stream, channel: await connection.attach(stream, events, signal) };
      },
      readError,
      isRunning: () => isRunning(),
      onState: setState,
      onOpen: (stream) => onOpen(stream),
      onData: (bytes, taken) => onData(bytes, taken),
      onDrain: () => onDrain(),
      onNotice: (sentence) => onNotice(sentence),
      endsByUser: kind === 'ssh',
    });
  });
  const isRunning = useEffectEvent(() => running && connected);
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
    if (present !== null && revertedAt > 0 && present.state === 'connected' && present.openedAt < revertedAt)
      present.renew('the VM was reverted');
  }, [revertedAt]);

  return { state, link: () => link.current };
}
