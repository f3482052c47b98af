import type { ReactElement } from 'react';
import { moveFocus } from '../shell/tab-bar.tsx';
import styles from './view-tabs.module.css';

interface ViewTabsProps<T extends string> {
  readonly label: string;
  readonly views: readonly { readonly id: T; readonly title: string; readonly count?: number }[];
  readonly active: T;
  readonly onChange: (view: T) => void;
}

/** The views of a page as underlined tabs; arrows move, Enter or a click selects. */
export function ViewTabs<T extends string>(props: ViewTabsProps<T>): ReactElement {
  return (
    <div className={styles.tabs} role="tablist" aria-label={props.label} onKeyDown={moveFocus}>
      {props.views.map((view) => (
        <button
          key={view.id}
          type="button"
          role="tab"
          className={styles.tab}
          aria-selected={view.id === props.active}
          tabIndex={view.id === props.active ? 0 : -1}
          onClick={() => props.onChange(view.id)}
        >
          {view.title}
          {view.count !== undefined && <span className={styles.count}>{view.count}</span>}
        </button>
      ))}
    </div>
  );
}
