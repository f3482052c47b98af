import { type ReactElement, type ReactNode, type UIEvent, useLayoutEffect, useRef, useState } from 'react';
import styles from './row-table.module.css';
import { rowWindow } from './row-window.ts';

/** Height of a row, px. */
const ROW = 28;
/** Within this distance of the end, px, the table counts as scrolled to it. */
const NEAR = 24;

interface RowTableProps<T> {
  readonly label: string;
  readonly columns: readonly string[];
  /** Widths as of a CSS grid. */
  readonly widths: string;
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string | number;
  /** The cells of a row, one for each column. */
  readonly cells: (row: T) => readonly ReactNode[];
  /** Keeps the last row in sight while the user has scrolled to it; tells when that begins and ends. */
  readonly follow?: (atEnd: boolean) => void;
  /** Shown in place of rows when there are none. */
  readonly empty: ReactNode;
}

/** A table of any number of rows, of which only those in sight are on the page. It fills its parent, and its head stays in sight. */
export function RowTable<T>(props: RowTableProps<T>): ReactElement {
  const { label, columns, widths, rows, keyOf, cells, follow, empty } = props;
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [place, setPlace] = useState({ top: 0, height: 600 });

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setPlace({ top: element.scrollTop, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (follow !== undefined && atEnd.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  });

  function onScroll({ currentTarget: { scrollTop, scrollHeight, clientHeight } }: UIEvent<HTMLDivElement>): void {
    const end = scrollHeight - scrollTop - clientHeight < NEAR;
    if (end !== atEnd.current) follow?.(end);
    atEnd.current = end;
    setPlace({ top: scrollTop, height: clientHeight });
  }

  const { first, end } = rowWindow(rows.length, ROW, place.top, place.height);
  return (
    <div
      ref={box}
      className={styles.table}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      tabIndex={0}
      onScroll={onScroll}
    >
      <div role="rowgroup" className={styles.head}>
        <div role="row" aria-rowindex={1} className={styles.row} style={{ gridTemplateColumns: widths }}>
          {columns.map((column) => (
            <span key={column} role="columnheader">
              {column}
            </span>
          ))}
        </div>
      </div>
      {rows.length === 0 ? (
        empty
      ) : (
        <div role="rowgroup" style={{ height: rows.length * ROW, paddingTop: first * ROW }}>
          {rows.slice(first, end).map((row, at) => (
            <div key={keyOf(row)} role="row" aria-rowindex={first + at + 2} className={styles.row} style={{ gridTemplateColumns: widths }}>
              {cells(row).map((cell, column) => (
                <span key={columns[column]} role="cell" className={styles.cell}>
                  {cell}
                </span>
              ))}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
