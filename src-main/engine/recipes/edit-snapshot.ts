import { EngineError } from '../../../src-shared/errors.ts';
import type { EditSnapshotInput } from '../../../src-shared/verbs.ts';
import type { Step } from '../core/operation.ts';
import { settlePending } from '../prefix/journal.ts';
import { type Prefix, readPrefix } from '../prefix/prefix.ts';
import type { SnapshotRecord } from '../prefix/record.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { acceptFrozen } from '../snapshot/layers/frozen-files.ts';
import { renameSnapshot } from '../snapshot/rename-snapshot.ts';
import { findSnapshot, recordOf } from '../snapshot/snapshot-parts.ts';
import { checkSnapshotName, requireFreeName } from '../snapshot/take-snapshot.ts';
import { openForChange } from './recover.ts';

const NOTE_LETTERS = 10_000;
const TAGS = 20;
const TAG = /^[\p{L}\p{N}][\p{L}\p{N}_.+:-]{0,39}$/u;

/**
 * Changes what is known of a snapshot: note, tags, pin, how its files are; then its name. `snapshot.missing`, `snapshot.exists`, `input.invalid`;
 * `snapshot.unsupported` for another name of an internal one.
 */
export async function editSnapshot(context: RecipeContext, root: string, edit: EditSnapshotInput, step: Step): Promise<void> {
  const { name, rename = name } = edit;
  const details = detailsOf(edit);
  if (rename !== name) checkSnapshotName(rename);
  await using opened = await openForChange(context, root, 'edit-snapshot', step);
  const { prefix } = opened;
  requireReady(prefix);
  const snapshot = findSnapshot(prefix, name);
  if (rename !== name) requireRenamable(prefix, snapshot, rename);
  if (Object.keys(details).length > 0) {
    await step.step('Write the record', async (one) => {
      await settlePending(
        prefix,
        (record) => ({
          ...record,
          snapshots: record.snapshots.map((candidate) => (candidate.name === name ? { ...candidate, ...details } : candidate)),
        }),
        one.log,
      );
    });
  }
  if (edit.accept === true) await step.step('Accept its files as they are', async () => await acceptFrozen(prefix, snapshot));
  if (rename !== name) await renameSnapshot(await readPrefix(root), name, rename, step);
}

type Details = Pick<SnapshotRecord, 'note' | 'tags' | 'pinned'>;

/** What is to be changed, checked. */
function detailsOf({ note, tags, pinned }: EditSnapshotInput): Details {
  if (note !== undefined && note.length > NOTE_LETTERS) {
    throw new EngineError('input.invalid', `The note has ${note.length} letters; it can have ${NOTE_LETTERS}.`, {
      hint: 'Keep long texts in a file, and name it in the note.',
    });
  }
  const bad = tags?.find((tag) => !TAG.test(tag));
  if (bad !== undefined) {
    throw new EngineError('input.invalid', `"${bad}" cannot be a tag.`, {
      hint: 'Use up to 40 letters, digits, dots, colons, plus, minus and underscores, beginning with a letter or digit.',
    });
  }
  const own = tags === undefined ? undefined : [...new Set(tags)];
  if (own !== undefined && own.length > TAGS)
    throw new EngineError('input.invalid', `A snapshot can have ${TAGS} tags, not ${own.length}.`);
  return {
    ...(note === undefined ? {} : { note }),
    ...(own === undefined ? {} : { tags: own }),
    ...(pinned === undefined ? {} : { pinned }),
  };
}

function requireRenamable(prefix: Prefix, snapshot: SnapshotRecord, to: string): void {
  if (snapshot.kind === 'internal') {
    throw new EngineError(
      'snapshot.unsupported',
      `The snapshot "${snapshot.name}" cannot be renamed: its name is inside the disks' files.`,
      {
        hint: 'Its note and tags can be changed.',
      },
    );
  }
  requireFreeName(recordOf(prefix), prefix.name, to);
}
