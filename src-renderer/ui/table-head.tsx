import type { ReactElement } from 'react';
import table from './table.module.css';

/** A column of a table: its heading, or more about it. */
export type Column =
  | string
  | {
      readonly heading: string;
      readonly title?: string;
      /** Its cells are right-aligned, with figures of the same width. */
      readonly number?: boolean;
      readonly className?: string | undefined;
      /** Only screen readers are told it. */
      readonly hidden?: boolean;
    };

/** The column with the buttons of each row. */
export const ACTIONS: Column = { heading: 'Actions', hidden: true };

/** The heading row of a table. */
export function TableHead(props: { readonly columns: readonly Column[] }): ReactElement {
  return (
    <thead>
      <tr>
        {props.columns.map((column) => {
          const { heading, title, number, className, hidden } = typeof column === 'string' ? { heading: column } : column;
          return (
            <th key={heading} title={title} className={number === true ? table.number : className}>
              {hidden === true ? <span className="hidden-visually">{heading}</span> : heading}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}
