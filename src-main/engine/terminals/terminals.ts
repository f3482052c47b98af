import { EngineError } from '../../../src-shared/errors.ts';
import type { OperationState } from '../../../src-shared/operation.ts';
import type { PrefixState, VmStatus } from '../../../src-shared/state.ts';
import type { TerminalState } from '../../../src-shared/terminal.ts';
import type { Log } from '../core/log.ts';
import type { TerminalRequest, Terminals, Vms } from '../engine.ts';
import type { Consoles } from '../runtime/console/consoles.ts';
import type { TerminalSession } from './session.ts';

/** Sessions at a time; each may hold some tens of MB of history. */
const MAX_SESSIONS = 40;
const OVER = new Set<VmStatus | undefined>(['down', 'shut off', 'crashed', undefined]);

export interface TerminalsOptions {
  readonly vms: Vms;
  readonly consoles: Consoles;
  /** The present state of every known environment. */
  states(): readonly PrefixState[];
  publish(states: readonly TerminalState[]): void;
  readonly log: Log;
}

/** The engine's terminal sessions. One without a page is kept until its VM stops. */
export interface KeptTerminals extends Omit<Terminals, 'close'> {
  /** Ends one session, or all. */
  close(session?: string): void;
  /** To be called when the state of an environment changed. */
  checkVms(): void;
  /** After a revert, shells begin anew: the guest has forgotten them. */
  onOperation(operation: OperationState): void;
}

export function createTerminals(options: TerminalsOptions): KeptTerminals {
  const sessions = new Map<string, TerminalSession>();
  const opening = new Map<string, Promise<TerminalSession>>();

  const states = (): readonly TerminalState[] => [...sessions.values()].map(({ state }) => state);
  const publish = (): void => options.publish(states());
  const prefixOf = (id: string): PrefixState | undefined => options.states().find((one) => one.id === id);
  const statusOf = (id: string, vm: string): VmStatus | undefined => prefixOf(id)?.vms.find((one) => one.name === vm)?.status;
  /** Its guest is still there, be it paused or out of reach. */
  const lives = (id: string, vm: string): boolean => !OVER.has(statusOf(id, vm));

  function remove(id: string): void {
    const session = sessions.get(id);
    if (session === undefined) return;
    sessions.delete(id);
    session.close();
    publish();
  }

  /** Whoever comes last wins over a session that nobody looks at. */
  function makeRoom(): void {
    if (sessions.size < MAX_SESSIONS) return;
    const unseen = [...sessions.values()].find(({ attached }) => !attached);
    if (unseen === undefined) {
      throw new EngineError('not-available', `${MAX_SESSIONS} terminals are open, which is the most there can be.`, {
        hint: 'Close some of them first.',
      });
    }
    remove(unseen.state.id);
  }

  async function create(request: TerminalRequest): Promise<TerminalSession> {
    const { session: id, prefix, vm, kind, columns, rows } = request;
    const path = prefixOf(prefix)?.path;
    if (path === undefined) throw new EngineError('prefix.missing', 'This environment no longer exists.', { details: { id: prefix } });
    makeRoom();
    const [{ openScreenOf }, { TerminalSession: Session }, { consoleSource, shellSource }, hub] = await Promise.all([
      import('./screen.ts'),
      import('./session.ts'),
      import('./source.ts'),
      kind === 'serial' ? options.consoles.of(path, vm) : undefined,
    ]);
    const screen = await openScreenOf(columns, rows, () => session.onDrained());
    const session: TerminalSession = new Session({ id, prefix, vm, kind }, screen, () => changed(id));
    const isRunning = (): boolean => statusOf(prefix, vm) === 'running';
    if (hub === undefined) session.connect(shellSource(options.vms, { prefix: path, vm, columns, rows, isRunning }, session));
    else session.connect(await consoleSource(hub, session));
    sessions.set(id, session);
    publish();
    return session;
  }

  function changed(id: string): void {
    forget();
    if (sessions.has(id)) publish();
  }

  /** Ends sessions that nobody looks at and whose VM does not run, and those of environments that are gone. */
  function forget(): void {
    for (const { state, attached } of sessions.values()) {
      if (prefixOf(state.prefix) === undefined || (!attached && !lives(state.prefix, state.vm))) remove(state.id);
    }
  }

  return {
    async open(request) {
      const { session: id, columns, rows } = request;
      let session = sessions.get(id);
      if (session === undefined) {
        const made = opening.get(id) ?? create(request);
        opening.set(id, made);
        try {
          session = await made;
        } finally {
          opening.delete(id);
        }
      }
      const { state } = session;
      if (state.prefix !== request.prefix || state.vm !== request.vm || state.kind !== request.kind) {
        throw new EngineError('input.invalid', `The terminal ${id} belongs to ${state.vm}.`);
      }
      const opened = session;
      return { stream: opened.attach(columns, rows), resize: (width, height) => opened.resize(width, height) };
    },
    close(id) {
      for (const known of id === undefined ? [...sessions.keys()] : [id]) remove(known);
    },
    states,
    checkVms() {
      forget();
      for (const session of sessions.values()) session.checkVm();
    },
    onOperation({ kind, status, prefix, endedAt }) {
      if (kind !== 'revert' || status !== 'succeeded' || endedAt === null || endedAt === undefined) return;
      for (const session of sessions.values()) {
        if (session.state.prefix === prefix) session.renew('the VM was reverted', endedAt);
      }
    },
  };
}
