import { IconDeviceDesktop, IconTerminal, IconTerminal2, IconX } from '@tabler/icons-react';
import { type KeyboardEvent, lazy, type ReactElement, Suspense, useState } from 'react';
import type { TerminalStatus } from '../../src-shared/terminal.ts';
import { usePrefixes } from '../live-cache.ts';
import { moveFocus } from '../shell/tab-bar.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import type { Icon } from '../ui/feedback/state-mark.tsx';
import { type TerminalSession, useWindow } from '../window-state.ts';
import { TerminalPane } from './terminal-pane.tsx';
import styles from './terminals.module.css';

const ScreenPane = lazy(async () => ({ default: (await import('./screen-pane.tsx')).ScreenPane }));

const KINDS: Readonly<Record<TerminalSession['kind'], { readonly icon: Icon; readonly word: string }>> = {
  ssh: { icon: IconTerminal2, word: 'ssh' },
  serial: { icon: IconTerminal, word: 'serial' },
  screen: { icon: IconDeviceDesktop, word: 'screen' },
};

const WORDS: Readonly<Record<TerminalStatus, string>> = {
  connecting: 'connecting',
  connected: '',
  waiting: 'VM is off',
  taken: 'taken',
  ended: 'ended',
};

/** The dock's sessions, one tab each. Those in the background stay connected. */
export function Terminals(props: { readonly visible: boolean }): ReactElement {
  const { state, dispatch } = useWindow();
  const prefixes = usePrefixes() ?? [];
  const [states, setStates] = useState<Readonly<Record<string, TerminalStatus>>>({});
  const several = new Set(state.sessions.map((session) => session.prefix)).size > 1;

  function onKeyDown(event: KeyboardEvent, session: TerminalSession): void {
    if (event.key !== 'Delete') return;
    event.preventDefault();
    dispatch({ type: 'close-session', id: session.id });
  }

  if (state.sessions.length === 0) {
    return <Empty compact icon={IconTerminal2} title="No terminals" body="Double-click a VM to open one." />;
  }
  return (
    <div className={styles.terminals}>
      <div className={styles.tabs} role="tablist" aria-label="Terminals" onKeyDown={moveFocus}>
        {state.sessions.map((session) => {
          const { icon: Symbol, word } = KINDS[session.kind];
          const active = session.id === state.session;
          const link = states[session.id] ?? 'connecting';
          const environment = prefixes.find((prefix) => prefix.id === session.prefix)?.name ?? '';
          return (
            <div key={session.id} className={styles.tab} data-active={active} title={environment}>
              <button
                type="button"
                role="tab"
                className={styles.name}
                aria-selected={active}
                aria-keyshortcuts="Delete"
                tabIndex={active ? 0 : -1}
                onClick={() => dispatch({ type: 'show-session', id: session.id })}
                onKeyDown={(event) => onKeyDown(event, session)}
              >
                <Symbol size={14} stroke={1.6} />
                {several && <span className="faint">{environment}/</span>}
                <span className="mono">{session.vm}</span>
                {link !== 'connected' && <span className="hidden-visually"> {word}, </span>}
                <span className={styles.word} data-state={link}>
                  {link === 'connected' ? word : WORDS[link]}
                </span>
              </button>
              {/* For the pointer only; the key is Delete. A tab list may contain nothing but tabs. */}
              <button
                type="button"
                className={styles.close}
                tabIndex={-1}
                aria-hidden="true"
                title={`Close ${session.vm} ${word}`}
                onClick={() => dispatch({ type: 'close-session', id: session.id })}
              >
                <IconX size={14} stroke={1.6} />
              </button>
            </div>
          );
        })}
      </div>
      <div className={styles.panes}>
        {state.sessions.map((session) => {
          const Pane = session.kind === 'screen' ? ScreenPane : TerminalPane;
          return (
            <Suspense key={session.id} fallback={null}>
              <Pane
                session={session}
                visible={props.visible && session.id === state.session}
                onState={(next) => setStates((all) => ({ ...all, [session.id]: next }))}
              />
            </Suspense>
          );
        })}
      </div>
    </div>
  );
}
