import { IconChevronDown, IconChevronUp } from '@tabler/icons-react';
import { lazy, type ReactElement, Suspense } from 'react';
import { isRunning, useOperations } from '../live-cache.ts';
import { IconButton } from '../ui/feedback/tip.tsx';
import { type DockView, useWindow } from '../window-state.ts';
import styles from './dock.module.css';
import { moveFocus } from './tab-bar.tsx';

const TaskList = lazy(async () => ({ default: (await import('../tasks/task-list.tsx')).TaskList }));
const LogView = lazy(async () => ({ default: (await import('../tasks/log-view.tsx')).LogView }));
const Terminals = lazy(async () => ({ default: (await import('../terminals/terminals.tsx')).Terminals }));

const TITLES: Readonly<Record<DockView, string>> = { terminals: 'Terminals', tasks: 'Tasks', log: 'Log' };

/** The lower part of the window: terminals, tasks, log. Hidden terminals stay connected. */
export function Dock(): ReactElement {
  const { state, dispatch } = useWindow();
  const operations = useOperations();
  const { open, view } = state.dock;
  const counts: Readonly<Record<DockView, number>> = {
    terminals: state.sessions.length,
    tasks: operations.filter(isRunning).length,
    log: 0,
  };
  return (
    <div className={styles.dock}>
      <div className={styles.header}>
        <div role="tablist" aria-label="Dock" className={styles.tabs} onKeyDown={moveFocus}>
          {(Object.keys(TITLES) as DockView[]).map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              className={styles.tab}
              aria-selected={open && view === name}
              tabIndex={view === name ? 0 : -1}
              onClick={() => dispatch({ type: 'dock', view: name, open: !(open && view === name) })}
            >
              {TITLES[name]}
              {counts[name] > 0 && <span className={styles.count}>{counts[name]}</span>}
            </button>
          ))}
        </div>
        <span className={styles.space} onDoubleClick={() => dispatch({ type: 'dock', open: !open })} />
        <IconButton
          label={open ? 'Hide the dock' : 'Show the dock'}
          tip={open ? 'Hide (Ctrl+`)' : 'Show (Ctrl+`)'}
          icon={open ? IconChevronDown : IconChevronUp}
          expanded={open}
          onClick={() => dispatch({ type: 'dock', open: !open })}
        />
      </div>
      <div className={styles.body} inert={!open} data-focus-layer>
        <div className={styles.view} hidden={view !== 'terminals'} role="tabpanel" aria-label="Terminals">
          {state.sessions.length > 0 || (open && view === 'terminals') ? (
            <Suspense fallback={null}>
              <Terminals visible={open && view === 'terminals'} />
            </Suspense>
          ) : null}
        </div>
        {view === 'tasks' && (
          <div className={styles.scroll} role="tabpanel" aria-label="Tasks">
            <Suspense fallback={null}>
              <TaskList operations={operations} emptyBody="Long work appears here with its steps and stays until you dismiss it." />
            </Suspense>
          </div>
        )}
        {view === 'log' && (
          <div className={styles.view} role="tabpanel" aria-label="Log">
            <Suspense fallback={null}>
              <LogView />
            </Suspense>
          </div>
        )}
      </div>
    </div>
  );
}
