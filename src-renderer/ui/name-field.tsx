import { TextInput } from '@mantine/core';
import type { ComponentProps, ReactElement } from 'react';

/** A field for a name or path that is typed as it is: no spelling, no suggestions, letters of the same width. */
export function NameField(props: ComponentProps<typeof TextInput>): ReactElement {
  return <TextInput classNames={{ input: 'mono' }} spellCheck={false} autoComplete="off" {...props} />;
}
