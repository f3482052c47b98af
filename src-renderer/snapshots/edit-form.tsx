import { Button, Textarea, TextInput } from '@mantine/core';
import '@mantine/core/styles/Input.css';
import { type KeyboardEvent, type ReactElement, type SyntheticEvent, useEffect, useRef, useState } from 'react';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { NameField } from '../ui/name-field.tsx';
import styles from './point-details.module.css';
import { nameProblem } from './snapshot-name.ts';
import { tagsOf } from './tags.ts';

/** What was changed; what is absent stays. */
export interface SnapshotEdit {
  readonly rename?: string;
  readonly note?: string;
  readonly tags?: string[];
}

/** Name, tags and note of a snapshot. Enter saves (in the note with Ctrl), Escape leaves everything as it was. */
export function EditForm(props: {
  readonly snapshot: SnapshotState;
  /** Names that others have. */
  readonly taken: readonly string[];
  readonly onClose: () => void;
  readonly onSave: (edit: SnapshotEdit) => void;
}): ReactElement {
  const { snapshot } = props;
  const [name, setName] = useState(snapshot.name);
  const [tags, setTags] = useState(snapshot.tags.join(', '));
  const [note, setNote] = useState(snapshot.note);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.scrollIntoView({ block: 'nearest' }), []);
  const problem = name === snapshot.name ? undefined : nameProblem(name, props.taken);

  function save(): void {
    if (problem !== undefined) return;
    const next = tagsOf(tags);
    const edit: SnapshotEdit = {
      ...(name === snapshot.name ? {} : { rename: name }),
      ...(note === snapshot.note ? {} : { note }),
      ...(next.join(' ') === snapshot.tags.join(' ') ? {} : { tags: next }),
    };
    if (Object.keys(edit).length === 0) props.onClose();
    else props.onSave(edit);
  }
  function onSubmit(event: SyntheticEvent): void {
    event.preventDefault();
    save();
  }
  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === 'Escape') props.onClose();
    else if (event.key === 'Enter' && event.ctrlKey) save();
    else return;
    event.preventDefault();
  }

  return (
    <form ref={form} className={styles.form} aria-label={`Change ${snapshot.name}`} onSubmit={onSubmit} onKeyDown={onKeyDown}>
      <NameField label="Name" value={name} error={problem} autoFocus onChange={(event) => setName(event.currentTarget.value)} />
      <TextInput
        label="Tags"
        placeholder="release, nightly"
        value={tags}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setTags(event.currentTarget.value)}
      />
      <Textarea label="Note" rows={3} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
      <div className={styles.formButtons}>
        <Button onClick={props.onClose}>Cancel</Button>
        <Button type="submit" variant="filled" disabled={problem !== undefined}>
          Save
        </Button>
      </div>
    </form>
  );
}
