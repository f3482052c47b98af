import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { VmState } from '../../../src-shared/state.ts';
import styles from './vm-note.module.css';

/** Why VMs of an environment are not up, with the evidence and the next step; nothing when none hangs. */
export function BootNotes(props: { readonly vms: readonly VmState[] }): ReactElement | null {
  const hung = props.vms.flatMap(({ name, boot }) => (boot === null || boot.hang === null ? [] : [{ name, hang: boot.hang }]));
  if (hung.length === 0) return null;
  return (
    <section className={styles.notes} data-below aria-label="VMs that are not up">
      {hung.map(({ name, hang }) => (
        <details key={name} className={styles.note} data-tone="warn">
          <summary>
            <IconAlertTriangle size={16} stroke={1.8} />
            <span>{hang.cause}</span>
          </summary>
          {hang.lines.length > 0 && (
            <pre className="mono" tabIndex={0} aria-label={`What shows it for ${name}`}>
              {hang.lines.join('\n')}
            </pre>
          )}
          <p>{hang.next}</p>
        </details>
      ))}
    </section>
  );
}
