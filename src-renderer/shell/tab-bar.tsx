import { IconFileCode, IconPlus, IconX } from '@tabler/icons-react';
import type { KeyboardEvent, ReactElement } from 'react';
import { isExclusive } from '../../src-shared/operation.ts';
import { prefixStatus } from '../environments/status.ts';
import { baseName } from '../format.ts';
import { isRunning, useOperations, usePrefixes } from '../live-cache.ts';
import { StateIcon } from '../ui/feedback/state-mark.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { keyOf, type Tab, useWindow } from '../window-state.ts';
import styles from './tab-bar.module.css';

/** Moves the focus along a row of tabs; returns whether it handled the key. */
export function moveFocus(event: KeyboardEvent<HTMLElement>): boolean {
  const tabs = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="tab"]')];
  const index = tabs.indexOf(document.activeElement as HTMLElement);
  const steps: Readonly<Record<string, number>> = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 };
  const next = steps[event.key];
  if (next === undefined || index < 0) return false;
  event.preventDefault();
  tabs[(next + tabs.length) % tabs.length]?.focus();
  return true;
}

/** The tabs of open environments and plans, as in an editor. */
export function TabBar(props: { readonly onOpenFile: () => void }): ReactElement {
  const { state, dispatch } = useWindow();
  const prefixes = usePrefixes();
  const operations = useOperations();
  const active = keyOf(state.page);
  const focusable = state.tabs.some((tab) => keyOf(tab) === active) ? active : state.tabs[0] === undefined ? '' : keyOf(state.tabs[0]);

  function describe(tab: Tab): { readonly title: string; readonly mark: ReactElement; readonly tip: string } {
    if (tab.kind === 'plan') {
      return {
        title: baseName(tab.path),
        tip: tab.path,
        mark: <IconFileCode size={14} stroke={1.6} className={styles.file ?? ''} aria-label="Plan" />,
      };
    }
    const prefix = prefixes?.find((one) => one.id === tab.id);
    if (prefix === undefined) return { title: '…', tip: '', mark: <span /> };
    const status = prefixStatus(
      prefix,
      operations.find((operation) => operation.prefix === prefix.id && isRunning(operation) && isExclusive(operation.kind)),
    );
    return {
      title: prefix.name,
      tip: prefix.path,
      mark: <StateIcon tone={status.tone} icon={status.icon} label={status.word} size={10} spin={status.spin === true} />,
    };
  }

  function onKeyDown(event: KeyboardEvent<HTMLElement>, tab: Tab): void {
    if (event.key === 'Delete') {
      event.preventDefault();
      dispatch({ type: 'close-tab', key: keyOf(tab) });
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      dispatch({ type: 'show', page: tab.kind === 'plan' ? { kind: 'plan', path: tab.path } : tab });
    }
  }

  return (
    <section className={styles.bar} aria-label="Tabs">
      {/* An empty bar must not have the role of a tab list. */}
      <div
        className={styles.tabs}
        {...(state.tabs.length > 0 ? { role: 'tablist', 'aria-label': 'Open environments' } : {})}
        onKeyDown={moveFocus}
      >
        {state.tabs.map((tab) => {
          const key = keyOf(tab);
          const { title, mark, tip } = describe(tab);
          return (
            <div
              key={key}
              className={styles.tab}
              data-active={key === active}
              title={tip}
              onAuxClick={(event) => event.button === 1 && dispatch({ type: 'close-tab', key })}
            >
              <div
                className={styles.name}
                role="tab"
                aria-selected={key === active}
                aria-controls="page"
                aria-keyshortcuts="Delete"
                tabIndex={key === focusable ? 0 : -1}
                onClick={() => dispatch({ type: 'show', page: tab.kind === 'plan' ? { kind: 'plan', path: tab.path } : tab })}
                onKeyDown={(event) => onKeyDown(event, tab)}
              >
                {mark}
                <span className="ellipsis">{title}</span>
              </div>
              {/* For the pointer only; the key is Delete. A tab list may contain nothing but tabs. */}
              <button
                type="button"
                className={styles.close}
                tabIndex={-1}
                aria-hidden="true"
                title={`Close ${title}`}
                onClick={() => dispatch({ type: 'close-tab', key })}
              >
                <IconX size={14} stroke={1.6} />
              </button>
            </div>
          );
        })}
      </div>
      <IconButton label="Open a file" tip="Open a file… (Ctrl+O)" icon={IconPlus} onClick={props.onOpenFile} />
    </section>
  );
}
