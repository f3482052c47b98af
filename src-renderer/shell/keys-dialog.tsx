import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import { Dialog } from '../ui/dialog.tsx';
import styles from './keys-dialog.module.css';

const KEYS: readonly { readonly title: string; readonly keys: readonly (readonly [string, string])[] }[] = [
  {
    title: 'Window',
    keys: [
      ['Ctrl O', 'Open a file'],
      ['Ctrl `', 'Show or hide the dock'],
      ['Ctrl PageUp / PageDown', 'Previous or next tab'],
      ['Alt 1 … 9', 'Tab by number'],
      ['Ctrl + / − / 0', 'Larger, smaller, actual size'],
      ['/', 'Filter the library, the package repositories'],
      ['?', 'This list'],
    ],
  },
  {
    title: 'Lists',
    keys: [
      ['↑ ↓', 'Move'],
      ['Enter', 'Open: the environment, a VM’s terminal'],
      ['← →', 'Fold or unfold a template, a package repository'],
      ['Shift F10', 'Menu of the row'],
      ['Del', 'Close the tab, delete the snapshot, remove from the store'],
    ],
  },
  {
    title: 'Snapshots',
    keys: [
      ['← → ↑ ↓', 'Move in time and between branches'],
      ['Enter', 'Revert'],
      ['F', 'Fork'],
      ['C', 'Compare'],
      ['P', 'Pin or unpin'],
      ['F2', 'Change name, note and tags'],
      ['N', 'Take a snapshot'],
      ['+ − 0', 'Zoom in, zoom out, fit'],
    ],
  },
  {
    title: 'Terminal',
    keys: [
      ['Ctrl Shift C / V', 'Copy, paste'],
      ['Ctrl Shift F', 'Search'],
      ['Ctrl Shift S', 'Serial console of the same VM'],
    ],
  },
];

/** Lists the keyboard shortcuts. */
export function KeysDialog(props: { readonly onClose: () => void }): ReactElement {
  return (
    <Dialog title="Keys" width={620} onClose={props.onClose} actions={<Button onClick={props.onClose}>Close</Button>}>
      <div className={styles.groups}>
        {KEYS.map((group) => (
          <section key={group.title} aria-label={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([key, what]) => (
                <div key={key} className={styles.pair}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
