import { TextInput } from '@mantine/core';
import '@mantine/core/styles/Input.css';
import { IconSearch } from '@tabler/icons-react';
import { type ReactElement, type RefObject, useRef } from 'react';
import { useSlashKey } from './hooks/use-slash-key.ts';
import styles from './search-field.module.css';

interface SearchFieldProps {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly onChange: (text: string) => void;
}

/** A field for a text that is looked for at once. Escape empties it. */
export function SearchField(props: SearchFieldProps): ReactElement {
  return <Field {...props} />;
}

/** The same as the main field of a page: the key `/` leads to it. */
export function PageFilter(props: SearchFieldProps): ReactElement {
  const field = useRef<HTMLInputElement>(null);
  useSlashKey(field);
  return <Field {...props} wide field={field} />;
}

function Field(props: SearchFieldProps & { readonly wide?: boolean; readonly field?: RefObject<HTMLInputElement | null> }): ReactElement {
  return (
    <TextInput
      ref={props.field}
      className={`${styles.field} ${props.wide === true ? styles.wide : ''}`}
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
