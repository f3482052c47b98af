import { Button } from '@mantine/core';
import RFB from '@novnc/novnc';
import { IconDeviceDesktopOff, IconKeyboard, IconRefresh } from '@tabler/icons-react';
import { type ReactElement, useEffect, useEffectEvent, useRef, useState } from 'react';
import type { TerminalStatus } from '../../src-shared/terminal.ts';
import type { TerminalSession } from '../window-state.ts';
import { ScreenChannel } from './screen-channel.ts';
import styles from './screen-pane.module.css';
import { useSessionLink } from './use-session-link.ts';

/** A VM's screen. While focused, it sends keys and pointer events to the VM. */
export function ScreenPane(props: {
  readonly session: TerminalSession;
  readonly visible: boolean;
  readonly onState: (state: TerminalStatus) => void;
}): ReactElement {
  const { session, visible } = props;
  const box = useRef<HTMLDivElement>(null);
  const channel = useRef<ScreenChannel | null>(null);
  const rfb = useRef<RFB | null>(null);
  const [shown, setShown] = useState(false);
  const [notice, setNotice] = useState('');
  // noVNC needs an element that already has a size.
  const [ready, setReady] = useState(false);
  useEffect(() => {
    if (visible) setReady(true);
  }, [visible]);

  const { state, link } = useSessionLink(session, ready, {
    size: () => ({ columns: 80, rows: 24 }),
    onOpen: () => {
      const element = box.current;
      if (element === null) return;
      leave();
      const made = new ScreenChannel((bytes) => link()?.write(bytes));
      const screen = new RFB(element, made, { shared: true });
      screen.scaleViewport = true;
      screen.background = 'transparent';
      screen.addEventListener('connect', () => {
        setShown(true);
        screen.focus();
      });
      channel.current = made;
      rfb.current = screen;
    },
    onData: (bytes, taken) => {
      channel.current?.receive(bytes);
      taken();
    },
    onNotice: setNotice,
  });

  function leave(): void {
    setShown(false);
    channel.current?.close();
    channel.current = null;
    rfb.current = null;
    box.current?.replaceChildren();
  }

  const reportState = useEffectEvent((next: TerminalStatus) => {
    props.onState(next);
    if (next !== 'connected') leave();
  });
  useEffect(() => reportState(state), [state]);
  useEffect(
    () => () => {
      channel.current?.close();
    },
    [],
  );
  useEffect(() => {
    if (visible && shown) rfb.current?.focus();
  }, [visible, shown]);

  return (
    <div className={styles.pane} hidden={!visible}>
      <div className={styles.tools} role="toolbar" aria-label={`Screen of ${session.vm}`}>
        <span className="dim">{shown ? 'Click the screen to type into the VM' : 'Not connected'}</span>
        <span className={styles.space} />
        <Button
          size="compact-xs"
          leftSection={<IconKeyboard size={14} stroke={1.6} />}
          disabled={!shown}
          onClick={() => rfb.current?.sendCtrlAltDel()}
        >
          Send Ctrl-Alt-Del
        </Button>
        <Button size="compact-xs" leftSection={<IconRefresh size={14} stroke={1.6} />} onClick={() => link()?.start()}>
          Reconnect
        </Button>
      </div>
      <div className={styles.stage}>
        <div
          ref={box}
          className={styles.screen}
          role="application"
          aria-label={`Screen of ${session.vm}`}
          data-testid="screen"
          data-vm={session.vm}
          data-state={shown ? 'shown' : state}
        />
        {!shown && (
          <div className={styles.cover} role="status">
            <IconDeviceDesktopOff size={24} stroke={1.4} />
            <p>{notice === '' ? 'Connecting to the screen…' : notice}</p>
          </div>
        )}
      </div>
    </div>
  );
}
