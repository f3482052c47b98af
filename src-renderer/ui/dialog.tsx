import { Modal } from '@mantine/core';
import '@mantine/core/styles/ModalBase.css';
import '@mantine/core/styles/Modal.css';
import '@mantine/core/styles/Overlay.css';
import '@mantine/core/styles/Paper.css';
import '@mantine/core/styles/CloseButton.css';
import '@mantine/core/styles/InlineInput.css';
import '@mantine/core/styles/Input.css';
import '@mantine/core/styles/Checkbox.css';
import '@mantine/core/styles/ScrollArea.css';
import type { ReactElement, ReactNode, SyntheticEvent } from 'react';
import styles from './dialog.module.css';

interface DialogProps {
  /** A question that names the object. */
  readonly title: string;
  readonly onClose: () => void;
  /** Called on Enter; without it the dialog is not a form. */
  readonly onSubmit?: () => void;
  readonly children: ReactNode;
  /** Buttons, the safe one first. */
  readonly actions: ReactNode;
  readonly width?: number;
}

/** A modal question. Escape and a click outside cancel it. */
export function Dialog(props: DialogProps): ReactElement {
  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    props.onSubmit?.();
  }
  return (
    <Modal
      opened
      centered
      radius={8}
      transitionProps={{ duration: 100, transition: 'fade' }}
      overlayProps={{ backgroundOpacity: 0.5 }}
      closeButtonProps={{ 'aria-label': 'Close' }}
      onClose={props.onClose}
      title={props.title}
      size={props.width ?? 460}
      classNames={{ title: styles.title ?? '', header: styles.header ?? '', body: styles.body ?? '', content: styles.content ?? '' }}
    >
      <form onSubmit={submit}>
        {props.children}
        <div className={styles.actions}>{props.actions}</div>
      </form>
    </Modal>
  );
}
