import { Button, TextInput } from '@mantine/core';
import type { ReactElement } from 'react';
import type { PathRequest } from '../../src-shared/bridge.ts';
import styles from './path-input.module.css';

/** A field for a path of this machine, with buttons that open the system's file dialog. */
export function PathInput(props: {
  readonly label: string;
  readonly value: string;
  readonly error?: string | undefined;
  readonly autoFocus?: boolean;
  /** What the buttons are to ask for, each with its label. */
  readonly choices: readonly { readonly label: string; readonly request: PathRequest }[];
  readonly onChange: (path: string) => void;
}): ReactElement {
  const { label, value, error, autoFocus = false, choices, onChange } = props;

  async function choose(request: PathRequest): Promise<void> {
    const path = await window.bridge.choosePath(request);
    if (path !== null) onChange(path);
  }

  return (
    <TextInput
      label={label}
      classNames={{ input: 'mono' }}
      value={value}
      error={error}
      spellCheck={false}
      autoComplete="off"
      {...(autoFocus ? { 'data-autofocus': true } : {})}
      inputContainer={(input) => (
        <div className={styles.row}>
          {input}
          {choices.map((choice) => (
            <Button key={choice.label} className={styles.choose ?? ''} variant="default" onClick={() => void choose(choice.request)}>
              {choice.label}
            </Button>
          ))}
        </div>
      )}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
