import { IconFileImport } from '@tabler/icons-react';
import { type ReactElement, useEffect, useEffectEvent, useState } from 'react';
import styles from './drop-zone.module.css';

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') === true;
}

/** Whether the pointer is over something that takes files itself. When that has taken them, the page may have changed already. */
function isTaken(event: DragEvent): boolean {
  return event.composedPath().some((place) => place instanceof Element && place.matches('[data-takes-files="true"]'));
}

/** One dropped file or folder; which of the two is known only during the drop event. */
export interface Dropped {
  readonly file: File;
  readonly folder: boolean;
}

/** Accepts files dropped anywhere on the window except where something takes them itself, and says what a drop will do while one is dragged over it. */
export function DropZone(props: { readonly onDrop: (dropped: readonly Dropped[]) => void }): ReactElement | null {
  const [over, setOver] = useState(false);
  const onDrop = useEffectEvent(props.onDrop);
  useEffect(() => {
    let depth = 0;
    const events = new AbortController();
    const options = { signal: events.signal };
    window.addEventListener(
      'dragenter',
      (event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        depth += 1;
        setOver(true);
      },
      options,
    );
    window.addEventListener(
      'dragover',
      (event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        setOver(!isTaken(event));
        if (event.dataTransfer !== null) event.dataTransfer.dropEffect = 'copy';
      },
      options,
    );
    window.addEventListener(
      'dragleave',
      (event) => {
        if (!carriesFiles(event)) return;
        depth = Math.max(0, depth - 1);
        if (depth === 0) setOver(false);
      },
      options,
    );
    window.addEventListener(
      'drop',
      (event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        depth = 0;
        setOver(false);
        if (isTaken(event)) return;
        const items = [...(event.dataTransfer?.items ?? [])];
        const dropped = [...(event.dataTransfer?.files ?? [])].map((file, index) => ({
          file,
          folder: items[index]?.webkitGetAsEntry()?.isDirectory === true,
        }));
        if (dropped.length > 0) onDrop(dropped);
      },
      options,
    );
    return () => events.abort();
  }, []);
  if (!over) return null;
  return (
    <div className={styles.overlay} data-testid="drop-overlay">
      <div className={styles.frame}>
        <IconFileImport size={40} stroke={1.2} />
        <p className={styles.title}>Drop to see what it would make</p>
        <p>Nothing is made before you say so.</p>
      </div>
    </div>
  );
}
