import { TextInput } from '@mantine/core';
import '@mantine/core/styles/Input.css';
import { IconSearch } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import styles from './search-field.module.css';

/** A field for a text that is looked for at once. Escape empties it. */
export function SearchField(props: {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
}): ReactElement {
  return (
    <TextInput
      className={styles.field ?? ''}
      aria-label={props.label}
      placeholder={props.placeholder}
      leftSection={<IconSearch size={14} stroke={1.8} />}
      value={props.value}
      spellCheck={false}
      autoComplete="off"
      onChange={(event) => props.onChange(event.currentTarget.value)}
      onKeyDown={(event) => event.key === 'Escape' && props.onChange('')}
    />
  );
}
