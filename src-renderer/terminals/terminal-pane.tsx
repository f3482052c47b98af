import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { useComputedColorScheme } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconX } from '@tabler/icons-react';
import { type KeyboardEvent, type ReactElement, useEffect, useEffectEvent, useRef, useState } from 'react';
import type { TerminalStatus } from '../../src-shared/terminal.ts';
import { useEngine } from '../engine-context.ts';
import { copyText } from '../ui/copy-text.ts';
import { IconButton } from '../ui/feedback/tip.tsx';
import { type TerminalSession, useWindow } from '../window-state.ts';
import { PALETTES } from './palettes.ts';
import styles from './terminal-pane.module.css';
import { useSessionLink } from './use-session-link.ts';

/**
 * The element around a terminal. Its `terminal` property is the xterm instance: the screen's text is not in the DOM, so tests and
 * assistive scripts read `element.terminal.buffer.active` instead.
 */
export interface TerminalElement extends HTMLDivElement {
  terminal?: Terminal;
}

interface Parts {
  readonly terminal: Terminal;
  readonly fit: FitAddon;
  readonly search: SearchAddon;
}

const DECORATIONS = {
  matchOverviewRuler: '#7aa5ff',
  activeMatchColorOverviewRuler: '#e3b252',
  matchBackground: '#4b5f8a',
  activeMatchBackground: '#9a7420',
};

function SearchBar(props: { readonly search: SearchAddon; readonly onClose: () => void }): ReactElement {
  const [text, setText] = useState('');
  const { search } = props;
  function find(back: boolean, query = text): void {
    if (back) search.findPrevious(query, { decorations: DECORATIONS });
    else search.findNext(query, { decorations: DECORATIONS });
  }
  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === 'Enter') find(!event.shiftKey);
    else if (event.key === 'Escape') props.onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  return (
    <div className={styles.search} role="search">
      <input
        autoFocus
        aria-label="Search in the terminal"
        placeholder="Search"
        value={text}
        spellCheck={false}
        onKeyDown={onKeyDown}
        onChange={(event) => {
          setText(event.target.value);
          search.findPrevious(event.target.value, { incremental: true, decorations: DECORATIONS });
        }}
      />
      <IconButton label="Previous match" icon={IconArrowUp} onClick={() => find(true)} />
      <IconButton label="Next match" icon={IconArrowDown} onClick={() => find(false)} />
      <IconButton label="Close search" icon={IconX} onClick={props.onClose} />
    </div>
  );
}

/** An ssh session or serial console. The engine keeps its screen, history and connection; this shows them and types. */
export function TerminalPane(props: {
  readonly session: TerminalSession;
  readonly visible: boolean;
  readonly onState: (state: TerminalStatus) => void;
}): ReactElement {
  const { session, visible } = props;
  const { connection } = useEngine();
  const scheme = useComputedColorScheme('dark');
  const box = useRef<TerminalElement>(null);
  const parts = useRef<Parts | null>(null);
  const { dispatch } = useWindow();
  const stream = useRef<string | null>(null);
  const waiting = useRef<Uint8Array[]>([]);
  const [ready, setReady] = useState(false);
  const [searching, setSearching] = useState(false);

  const { state, link } = useSessionLink(session, ready, {
    size: () => ({ columns: parts.current?.terminal.cols ?? 80, rows: parts.current?.terminal.rows ?? 24 }),
    onOpen: (opened) => {
      stream.current = opened.stream;
      waiting.current = [];
      // The stream begins with the whole screen and its history.
      parts.current?.terminal.reset();
      resize();
    },
    onData: (bytes, taken) => {
      if (parts.current === null) taken();
      else parts.current.terminal.write(bytes, taken);
    },
    onDrain: () => flush(),
    onNotice: (sentence) => parts.current?.terminal.write(`\r\n\x1b[0m\x1b[2m— ${sentence} —\x1b[0m\r\n`),
  });

  const reportState = useEffectEvent((next: TerminalStatus) => {
    props.onState(next);
    // Otherwise the engine says it.
    if (link()?.state === 'ended') parts.current?.terminal.write('\x1b[2mPress Enter to connect again.\x1b[0m\r\n');
  });
  useEffect(() => reportState(state), [state]);

  function flush(): void {
    while (waiting.current.length > 0) {
      const next = waiting.current[0];
      if (next === undefined) return;
      waiting.current.shift();
      if (link()?.write(next) !== true) return;
    }
  }

  const send = useEffectEvent((text: string | Uint8Array) => {
    const present = link();
    if (present === null) return;
    if (present.state === 'ended') {
      if (text === '\r') present.start();
      return;
    }
    if (present.state !== 'connected') return;
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    // A large paste is sent in pieces, so that a slow guest can pause it.
    for (let at = 0; at < bytes.length; at += 16_384) waiting.current.push(bytes.slice(at, at + 16_384));
    flush();
  });

  const resize = useEffectEvent(() => {
    const { current } = parts;
    if (current === null || stream.current === null || session.kind !== 'ssh' || link()?.state !== 'connected') return;
    const { cols: columns, rows } = current.terminal;
    // The stream may have ended meanwhile; its successor is opened with the current size.
    connection.client.terminal.resize({ stream: stream.current, columns, rows }).catch(() => undefined);
  });

  const onKey = useEffectEvent((event: globalThis.KeyboardEvent): boolean => {
    if (event.type !== 'keydown') return true;
    if (event.ctrlKey && event.key === '`') return false;
    if (!event.ctrlKey || !event.shiftKey) return true;
    switch (event.code) {
      case 'KeyC': {
        event.preventDefault();
        const text = parts.current?.terminal.getSelection() ?? '';
        if (text !== '') void copyText(text);
        return false;
      }
      case 'KeyF':
        event.preventDefault();
        setSearching(true);
        return false;
      case 'KeyS':
        event.preventDefault();
        dispatch({ type: 'open-session', prefix: session.prefix, vm: session.vm, kind: 'serial', again: true });
        return false;
      case 'KeyV':
        // Let the browser paste; xterm handles the paste event.
        return false;
      default:
        return true;
    }
  });

  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: false,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue('--font-mono'),
      fontSize: 13,
      lineHeight: 1.2,
      scrollback: 10_000,
      theme: PALETTES[document.documentElement.getAttribute('data-mantine-color-scheme') === 'light' ? 'light' : 'dark'],
    });
    const fit = new FitAddon();
    const search = new SearchAddon();
    terminal.loadAddon(fit);
    terminal.loadAddon(search);
    terminal.open(element);
    terminal.attachCustomKeyEventHandler((event) => onKey(event));
    terminal.onData((text) => send(text));
    terminal.onBinary((text) => send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    terminal.onResize(() => resize());
    element.terminal = terminal;
    parts.current = { terminal, fit, search };
    const observer = new ResizeObserver(() => {
      // Hidden panes have no size; fitting them would reflow their scrollback to one column.
      if (element.clientWidth > 0 && element.clientHeight > 0) fit.fit();
    });
    observer.observe(element);
    if (element.clientWidth > 0 && element.clientHeight > 0) fit.fit();
    setReady(true);
    return () => {
      observer.disconnect();
      delete element.terminal;
      parts.current = null;
      setReady(false);
      terminal.dispose();
    };
  }, []);

  useEffect(() => {
    if (parts.current !== null) parts.current.terminal.options.theme = PALETTES[scheme];
  }, [scheme]);

  useEffect(() => {
    if (visible) parts.current?.terminal.focus();
  }, [visible]);

  return (
    <div className={styles.pane} hidden={!visible}>
      <div
        ref={box}
        className={styles.terminal}
        role="group"
        aria-label={`Terminal of ${session.vm}`}
        data-testid="terminal"
        data-vm={session.vm}
        data-kind={session.kind}
        data-state={state}
      />
      {searching && parts.current !== null && (
        <SearchBar
          search={parts.current.search}
          onClose={() => {
            parts.current?.search.clearDecorations();
            setSearching(false);
            parts.current?.terminal.focus();
          }}
        />
      )}
    </div>
  );
}
