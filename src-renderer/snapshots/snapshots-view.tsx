import { SegmentedControl } from '@mantine/core';
import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/Input.css';
import '@mantine/core/styles/SegmentedControl.css';
import { IconCamera, IconTrash } from '@tabler/icons-react';
import { type ReactElement, Suspense, type SyntheticEvent, useMemo, useRef, useState } from 'react';
import type { RemovalChoice } from '../../src-shared/snapshot/snapshot-plans.ts';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { ChangesDialog, ExportPointDialog, ForkDialog } from '../environments/lazy-dialogs.ts';
import { keepTimelineForm, readTimelineForm } from '../kept-state.ts';
import { usePrefixes, useRunningOperation } from '../live-cache.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import type { Action } from '../ui/menu/action.ts';
import { ActionMenu } from '../ui/menu/action-menu.tsx';
import { NameField } from '../ui/name-field.tsx';
import { useWindow } from '../window-state.ts';
import { RemoveDialog } from './dialogs/remove-dialog.tsx';
import { RevertDialog } from './dialogs/revert-dialog.tsx';
import type { SnapshotEdit } from './edit-form.tsx';
import { type PointCommands, pointActions } from './point-actions.ts';
import { PointDetails } from './point-details.tsx';
import { totalOf } from './point-facts.ts';
import { freeName, nameProblem } from './snapshot-name.ts';
import { SnapshotTable } from './snapshot-table.tsx';
import styles from './snapshots-view.module.css';
import { forksOf, originOf } from './timeline/forks.ts';
import { TimelineView } from './timeline/timeline-view.tsx';
import { TimelineLegend } from './timeline-legend.tsx';
import { isTimelineWork } from './vm-progress.ts';
import { WorkStrip } from './work-strip.tsx';

type Asking =
  | { readonly kind: 'revert' | 'fork' | 'compare' | 'export'; readonly name: string }
  | { readonly kind: 'remove'; readonly choice: RemovalChoice };

/** The name field and the button that take a snapshot. */
function TakeForm(props: {
  readonly prefix: PrefixState;
  readonly blocked: string | undefined;
  readonly field: React.RefObject<HTMLInputElement | null>;
}): ReactElement {
  const { prefix, blocked } = props;
  const call = useCall();
  const names = prefix.snapshots.map((snapshot) => snapshot.name);
  const [typed, setTyped] = useState<string | null>(null);
  const name = typed ?? freeName('snapshot-1', names);
  const problem = nameProblem(name, names);
  const bad = typed !== null && problem !== undefined;

  async function take(event: SyntheticEvent): Promise<void> {
    event.preventDefault();
    if (problem !== undefined || blocked !== undefined) return;
    const started = await call(`Could not take the snapshot “${name}”`, (client) => client.snapshot.create({ prefix: prefix.id, name }));
    if (started !== undefined) setTyped(null);
  }

  return (
    <form className={styles.take} onSubmit={(event) => void take(event)}>
      <NameField
        ref={props.field}
        aria-label="Snapshot name"
        classNames={{ input: `mono ${styles.field}` }}
        value={name}
        error={bad}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
      />
      <GuardedButton type="submit" blocked={blocked ?? problem} variant="filled" leftSection={<IconCamera size={16} stroke={1.6} />}>
        Take snapshot
      </GuardedButton>
      <span className={styles.hint} data-bad={bad} role="status">
        {bad ? problem : 'All VMs together. Running ones are kept with their memory.'}
      </span>
    </form>
  );
}

/** The timeline with its actions: take, revert, fork, compare, pin, edit, delete. As a picture or as a table. */
export function SnapshotsView(props: { readonly prefix: PrefixState; readonly blocked: string | undefined }): ReactElement {
  const { prefix, blocked } = props;
  const { snapshots } = prefix;
  const call = useCall();
  const { dispatch } = useWindow();
  const now = useNow(true, 15_000);
  const prefixes = usePrefixes();
  const running = useRunningOperation(prefix.id);
  const working = running !== undefined && isTimelineWork(running) ? running : undefined;
  const field = useRef<HTMLInputElement>(null);
  const [form, setForm] = useState(readTimelineForm);
  const [selected, setSelected] = useState<string | null>(null);
  /** The new name of the selected snapshot, which the engine may not have yet. */
  const [renamed, setRenamed] = useState<string | null>(null);
  const [asking, setAsking] = useState<Asking | null>(null);
  const [editing, setEditing] = useState<string | null>(null);

  const forks = useMemo(() => forksOf(prefixes ?? [], prefix.id), [prefixes, prefix.id]);
  const origin = useMemo(() => originOf(prefix, prefixes ?? []), [prefix, prefixes]);
  const byName = (name: string | null): SnapshotState | undefined => snapshots.find((snapshot) => snapshot.name === name);
  const shown = byName(renamed) ?? byName(selected) ?? snapshots.find((snapshot) => snapshot.current) ?? snapshots.at(-1);

  function select(name: string): void {
    setSelected(name);
    setRenamed(null);
    setEditing(null);
  }
  const open = (id: string): void => dispatch({ type: 'show', page: { kind: 'environment', id } });

  async function save(name: string, edit: SnapshotEdit): Promise<void> {
    const started = await call(`Could not change the snapshot “${name}”`, (client) =>
      client.snapshot.edit({ prefix: prefix.id, name, ...edit }),
    );
    if (started === undefined) return;
    setEditing(null);
    setSelected(name);
    if (edit.rename !== undefined) setRenamed(edit.rename);
  }

  const commands: PointCommands = {
    revert: (name) => setAsking({ kind: 'revert', name }),
    fork: (name) => setAsking({ kind: 'fork', name }),
    compare: (name) => setAsking({ kind: 'compare', name }),
    export: (name) => setAsking({ kind: 'export', name }),
    pin: (name, pinned) =>
      void call(`Could not ${pinned ? 'pin' : 'unpin'} the snapshot “${name}”`, (client) =>
        client.snapshot.edit({ prefix: prefix.id, name, pinned }),
      ),
    edit: (name) => {
      select(name);
      setEditing(name);
    },
    remove: (name) => setAsking({ kind: 'remove', choice: { name } }),
    removeBranch: (branch) => setAsking({ kind: 'remove', choice: { branch } }),
  };
  const actionsOf = (snapshot: SnapshotState): readonly Action[] => pointActions(snapshot, snapshots, blocked, commands);
  const all: readonly Action[] = [
    {
      id: 'unpinned',
      label: 'Delete all but pinned…',
      icon: IconTrash,
      danger: true,
      blocked: blocked ?? (snapshots.every(({ pinned }) => pinned) ? 'All snapshots are pinned' : undefined),
      run: () => setAsking({ kind: 'remove', choice: { unpinned: true } }),
    },
  ];

  function remove(choice: RemovalChoice): void {
    setAsking(null);
    if ('name' in choice)
      void call(`Could not delete the snapshot “${choice.name}”`, (client) =>
        client.snapshot.remove({ prefix: prefix.id, name: choice.name }),
      );
    else
      void call('Could not delete the snapshots', (client) =>
        client.snapshot.prune({ prefix: prefix.id, ...('branch' in choice ? { branch: choice.branch } : {}) }),
      );
  }

  const asked = asking?.kind === 'revert' ? byName(asking.name) : undefined;
  const exported = asking?.kind === 'export' ? byName(asking.name) : undefined;
  const history = { forks, origin, now, selected: shown?.name ?? null, actions: actionsOf, onSelect: select, onOpen: open };
  return (
    <div className={styles.view}>
      <div className={styles.head}>
        <TakeForm prefix={prefix} blocked={blocked} field={field} />
        {snapshots.length > 0 && (
          <div className={styles.forms}>
            <span className="dim nowrap">{totalOf(snapshots)}</span>
            <SegmentedControl
              size="xs"
              aria-label="Show the history as"
              value={form}
              transitionDuration={100}
              onChange={(value) => {
                const next = value === 'table' ? 'table' : 'timeline';
                setForm(next);
                keepTimelineForm(next);
              }}
              data={[
                { value: 'timeline', label: 'Timeline' },
                { value: 'table', label: 'Table' },
              ]}
            />
            <ActionMenu label="More for all snapshots" actions={all} />
          </div>
        )}
      </div>
      {(shown !== undefined || origin !== null || forks.length > 0) &&
        (form === 'table' && snapshots.length > 0 ? (
          <SnapshotTable {...history} snapshots={snapshots} events={prefix.events} />
        ) : (
          <>
            <TimelineView {...history} prefix={prefix} onTake={() => field.current?.focus()} />
            {shown !== undefined && working === undefined && <TimelineLegend snapshots={snapshots} />}
          </>
        ))}
      {working !== undefined && <WorkStrip operation={working} vms={prefix.vms.map((vm) => vm.name)} />}
      {shown === undefined ? (
        <Empty
          compact
          icon={IconCamera}
          title="No snapshots yet"
          body="A snapshot keeps all VMs at one moment; you can come back to it as often as you like, or fork it."
        />
      ) : (
        <PointDetails
          snapshot={shown}
          now={now}
          forks={forks.filter((fork) => fork.snapshot === shown.name)}
          actions={actionsOf(shown)}
          names={snapshots.map((snapshot) => snapshot.name)}
          editing={editing === shown.name}
          onEdit={(on) => setEditing(on ? shown.name : null)}
          onSave={(edit) => void save(shown.name, edit)}
          onOpen={open}
        />
      )}
      {asked !== undefined && (
        <RevertDialog
          prefix={prefix}
          snapshot={asked}
          now={now}
          proposed={freeName(
            'before-revert',
            snapshots.map((snapshot) => snapshot.name),
          )}
          onClose={() => setAsking(null)}
          onRevert={(first) => {
            setAsking(null);
            void call(`Could not revert to “${asked.name}”`, (client) =>
              client.snapshot.revert({ prefix: prefix.id, name: asked.name, ...(first === null ? {} : { first }) }),
            );
          }}
        />
      )}
      {asking?.kind === 'remove' && (
        <RemoveDialog prefix={prefix} choice={asking.choice} onClose={() => setAsking(null)} onRemove={() => remove(asking.choice)} />
      )}
      {asking?.kind === 'fork' && (
        <Suspense fallback={null}>
          <ForkDialog prefix={prefix} snapshot={asking.name} onClose={() => setAsking(null)} />
        </Suspense>
      )}
      {exported !== undefined && (
        <Suspense fallback={null}>
          <ExportPointDialog prefix={prefix} snapshot={exported} onClose={() => setAsking(null)} />
        </Suspense>
      )}
      {asking?.kind === 'compare' && (
        <Suspense fallback={null}>
          <ChangesDialog prefix={prefix} snapshot={asking.name} onClose={() => setAsking(null)} />
        </Suspense>
      )}
    </div>
  );
}
