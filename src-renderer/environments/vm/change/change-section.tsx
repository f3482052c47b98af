import { IconLoader2 } from '@tabler/icons-react';
import { type KeyboardEvent, type ReactElement, type ReactNode, useId } from 'react';
import { ErrorNotice } from '../../../ui/feedback/error-notice.tsx';
import { StateMark } from '../../../ui/feedback/state-mark.tsx';
import styles from './change-dialog.module.css';
import type { Changes, Part } from './use-changes.ts';

/** Devices of one kind, ways to change them, and what became of the last change. */
export function ChangeSection(props: {
  readonly title: string;
  readonly part: Part;
  readonly changes: Changes;
  readonly children: ReactNode;
}): ReactElement {
  const { title, part, changes } = props;
  const heading = useId();
  const outcome = changes.outcome(part);
  return (
    <section className={styles.section} aria-labelledby={heading} tabIndex={-1}>
      <h3 id={heading}>{title}</h3>
      {props.children}
      <div role="status">
        {outcome?.status === 'running' && (
          <StateMark tone="busy" icon={IconLoader2} spin>
            {outcome.label}…
          </StateMark>
        )}
        {outcome?.status === 'done' && outcome.notes.length > 0 && <p className={styles.notes}>{outcome.notes.join(' ')}</p>}
      </div>
      {outcome?.status === 'failed' && <ErrorNotice error={outcome.error} onDismiss={() => changes.dismiss(part)} />}
    </section>
  );
}

/** Moves the focus to the section of a row whose buttons go away, so that it does not leave the dialog. */
export function focusSection(row: HTMLElement | null): void {
  row?.closest('section')?.focus();
}

/** Devices that a VM has; a sentence when there are none. */
export function DeviceList(props: {
  readonly label: string;
  readonly none: string;
  readonly children: readonly ReactNode[];
}): ReactElement {
  if (props.children.length === 0) return <p className="dim">{props.none}</p>;
  return (
    <ul className={styles.devices} aria-label={props.label}>
      {props.children}
    </ul>
  );
}

/** A field with the button that acts on it, also on Enter. */
export function FieldRow(props: { readonly onEnter: () => void; readonly children: ReactNode }): ReactElement {
  function press(event: KeyboardEvent): void {
    if (event.key !== 'Enter' || !(event.target instanceof HTMLInputElement)) return;
    event.preventDefault();
    props.onEnter();
  }
  return (
    <div className={styles.row} onKeyDown={press}>
      {props.children}
    </div>
  );
}
