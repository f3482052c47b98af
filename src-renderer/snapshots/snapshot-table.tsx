import { IconPinFilled } from '@tabler/icons-react';
import { type KeyboardEvent, type ReactElement, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { SnapshotState, TimelineEvent } from '../../src-shared/snapshot/timeline.ts';
import { formatClock } from '../format.ts';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { type Action, type MenuPlace, menuPlace } from '../ui/menu/action.ts';
import { ActionMenu, ContextMenu } from '../ui/menu/action-menu.tsx';
import { rowSibling } from '../ui/row-sibling.ts';
import table from '../ui/table.module.css';
import { ACTIONS, type Column, TableHead } from '../ui/table-head.tsx';
import { EnvironmentLinks } from './environment-links.tsx';
import { EVENT_ICONS } from './event-icons.ts';
import { bytesOf, contentOf, damageOf } from './point-facts.ts';
import { PointGlyph } from './point-glyph.tsx';
import styles from './snapshot-table.module.css';
import type { ForkedEnvironment } from './timeline/forks.ts';
import type { Origin } from './timeline/history.ts';
import { POINT_KEYS } from './timeline-keys.ts';

function Row(props: {
  readonly snapshot: SnapshotState;
  readonly forks: readonly string[];
  readonly now: number;
  readonly selected: boolean;
  readonly focusable: boolean;
  readonly actions: readonly Action[];
  readonly onSelect: (name: string) => void;
}): ReactElement {
  const { snapshot, actions } = props;
  const [place, setPlace] = useState<MenuPlace | null>(null);
  const bytes = bytesOf(snapshot);

  function act(id: string): void {
    const action = actions.find((one) => one.id === id);
    if (action?.blocked === undefined) action?.run();
  }

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const id = POINT_KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const sibling = rowSibling(event);
    if (id !== undefined) act(id);
    else if (sibling !== undefined) sibling.focus();
    else return;
    event.preventDefault();
  }

  return (
    <tr
      aria-label={snapshot.name}
      tabIndex={props.focusable ? 0 : -1}
      data-menu={place !== null || props.selected}
      onClick={() => props.onSelect(snapshot.name)}
      onFocus={(event) => event.target === event.currentTarget && props.onSelect(snapshot.name)}
      onDoubleClick={() => act('revert')}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => setPlace(menuPlace(event))}
    >
      <td>
        <span className={styles.name}>
          <PointGlyph snapshot={{ ...snapshot, pinned: false }} />
          <span className="mono">{snapshot.name}</span>
          {snapshot.pinned && <IconPinFilled size={12} className={styles.pin ?? ''} aria-label="pinned" />}
          {snapshot.tags.map((tag) => (
            <span key={tag} className={styles.tag}>
              {tag}
            </span>
          ))}
        </span>
      </td>
      <td className="nowrap">{formatClock(snapshot.createdAt, props.now)}</td>
      <td className="mono">{snapshot.parent ?? '–'}</td>
      <td>
        {damageOf(snapshot) ?? contentOf(snapshot)}
        {snapshot.automatic && <span className="faint"> · automatic</span>}
      </td>
      <td className={table.number}>{bytes > 0 ? formatBytes(bytes) : '–'}</td>
      <td>
        {snapshot.current && 'the present'}
        {snapshot.current && props.forks.length > 0 && ', '}
        {props.forks.length > 0 && `fork ${props.forks.join(', ')}`}
      </td>
      <td className={table.actions} onDoubleClick={(event) => event.stopPropagation()}>
        <div className={table.actionRow}>
          <ActionMenu label={`More for ${snapshot.name}`} actions={actions} />
        </div>
        <ContextMenu label={`Actions for ${snapshot.name}`} place={place} actions={actions} onClose={() => setPlace(null)} />
      </td>
    </tr>
  );
}

const COLUMNS: readonly Column[] = ['Name', 'Taken', 'After', 'Content', { heading: 'Size', number: true }, 'Leads to', ACTIONS];

/** The timeline as tables: the snapshots, newest first, and what else happened. Rows take the same keys as the picture. */
export function SnapshotTable(props: {
  readonly snapshots: readonly SnapshotState[];
  readonly events: readonly TimelineEvent[];
  readonly forks: readonly ForkedEnvironment[];
  readonly origin: Origin | null;
  readonly now: number;
  readonly selected: string | null;
  readonly actions: (snapshot: SnapshotState) => readonly Action[];
  readonly onSelect: (name: string) => void;
  /** Shows another environment. */
  readonly onOpen: (environment: string) => void;
}): ReactElement {
  const { selected, events, forks, origin } = props;
  const rows = props.snapshots.toSorted((a, b) => b.createdAt - a.createdAt);
  const focusable = rows.some((one) => one.name === selected) ? selected : rows[0]?.name;
  return (
    <div className={styles.tables}>
      <div className={styles.scroll}>
        <table className={`${table.table} ${table.rows}`} aria-label="Snapshots">
          <TableHead columns={COLUMNS} />
          <tbody>
            {rows.map((snapshot) => (
              <Row
                key={snapshot.name}
                snapshot={snapshot}
                forks={forks.filter((fork) => fork.snapshot === snapshot.name).map((fork) => fork.name)}
                now={props.now}
                selected={snapshot.name === selected}
                focusable={snapshot.name === focusable}
                actions={props.actions(snapshot)}
                onSelect={props.onSelect}
              />
            ))}
          </tbody>
        </table>
      </div>
      {origin !== null && origin.name !== null && (
        <EnvironmentLinks label="Forked from" environments={[{ id: origin.id, name: origin.name }]} onOpen={props.onOpen} />
      )}
      {forks.length > 0 && <EnvironmentLinks label="Forks" environments={forks} onOpen={props.onOpen} />}
      {events.length > 0 && (
        <div className={styles.frame}>
          <table className={table.table} aria-label="Events">
            <TableHead columns={['Time', 'What else happened']} />
            <tbody>
              {events.toReversed().map((event) => (
                <tr key={`${event.at} ${event.label}`}>
                  <td className={styles.time}>{formatClock(event.at, props.now)}</td>
                  <td>
                    <StateMark tone={event.kind === 'failure' ? 'bad' : 'off'} icon={EVENT_ICONS[event.kind]}>
                      {event.label}
                    </StateMark>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
