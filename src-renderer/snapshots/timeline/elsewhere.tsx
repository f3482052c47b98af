import { IconGitFork } from '@tabler/icons-react';
import { type MouseEvent, type ReactElement, useState } from 'react';
import { Tip } from '../../ui/feedback/tip.tsx';
import type { MenuPlace } from '../../ui/menu/action.ts';
import { ContextMenu } from '../../ui/menu/action-menu.tsx';
import type { ForkedEnvironment } from './forks.ts';
import { laneY, type Rows } from './geometry.ts';
import type { Origin } from './history.ts';
import type { Timeline, TimelineFork } from './layout.ts';
import styles from './timeline-view.module.css';

/** Where the history goes on in other environments, and where it came from. */
export function Elsewhere(props: {
  readonly layout: Timeline;
  readonly rows: Rows;
  readonly forks: readonly ForkedEnvironment[];
  readonly origin: Origin | null;
  readonly onOpen: (environment: string) => void;
}): ReactElement {
  const { layout, rows, origin } = props;
  const [menu, setMenu] = useState<{ readonly fork: TimelineFork; readonly place: MenuPlace } | null>(null);
  const nameOf = (id: string): string => props.forks.find((fork) => fork.id === id)?.name ?? id;
  function open(fork: TimelineFork, event: MouseEvent<HTMLElement>): void {
    const box = event.currentTarget.getBoundingClientRect();
    const [only, ...others] = fork.environments;
    if (only !== undefined && others.length === 0) props.onOpen(only);
    else setMenu({ fork, place: { x: box.left, y: box.bottom, top: box.top } });
  }
  return (
    <>
      {layout.origin !== null && origin !== null && (
        <Tip label={origin.name === null ? 'That environment is not in the list any more' : `Show ${origin.name}`}>
          <button
            type="button"
            className={styles.elsewhere}
            style={{ left: 12, top: laneY(rows, layout.origin.lane) - 12, maxWidth: 172 }}
            aria-label={`Forked from ${origin.name ?? 'another environment'}${origin.snapshot === null ? '' : ` at “${origin.snapshot}”`}`}
            aria-disabled={origin.name === null}
            onClick={() => origin.name !== null && props.onOpen(origin.id)}
          >
            <IconGitFork size={14} stroke={1.8} />
            <span className="ellipsis">from {origin.name ?? 'elsewhere'}</span>
          </button>
        </Tip>
      )}
      {layout.forks.map((fork) => {
        const [first] = fork.environments;
        const single = fork.environments.length === 1 && first !== undefined;
        return (
          <Tip key={fork.key} label={single ? `Show the fork ${nameOf(first)}` : 'Show one of these forks'}>
            <button
              type="button"
              className={styles.elsewhere}
              style={{ left: fork.x, top: laneY(rows, fork.lane) - 12, maxWidth: fork.width }}
              aria-label={`${single ? `Fork ${nameOf(first)}` : `${fork.environments.length} forks`} of ${fork.snapshot === null ? 'the present then' : `“${fork.snapshot}”`}`}
              onClick={(event) => open(fork, event)}
            >
              <IconGitFork size={14} stroke={1.8} />
              <span className="ellipsis">{single ? nameOf(first) : `${fork.environments.length} forks`}</span>
            </button>
          </Tip>
        );
      })}
      <ContextMenu
        label="Forks"
        place={menu?.place ?? null}
        actions={(menu?.fork.environments ?? []).map((id) => ({
          id,
          label: nameOf(id),
          icon: IconGitFork,
          run: () => props.onOpen(id),
        }))}
        onClose={() => setMenu(null)}
      />
    </>
  );
}
