import { TextInput } from '@mantine/core';
import '@mantine/core/styles/Input.css';
import { IconArrowBackUp, IconCamera, IconCircle, IconCircleDot, IconTrash } from '@tabler/icons-react';
import { type ReactElement, type SyntheticEvent, useRef, useState } from 'react';
import type { PrefixState } from '../../src-shared/state.ts';
import type { SnapshotState } from '../../src-shared/timeline.ts';
import { useCall } from '../engine-context.ts';
import { count, formatAgo, formatClock } from '../format.ts';
import { Empty } from '../ui/empty.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import { StateMark } from '../ui/state-mark.tsx';
import table from '../ui/table.module.css';
import { RemoveDialog, RevertDialog } from './snapshot-dialogs.tsx';
import { freeName, nameProblem } from './snapshot-name.ts';
import styles from './snapshots-view.module.css';
import { TimelineView } from './timeline-view.tsx';

function Detail(props: {
  readonly snapshot: SnapshotState;
  readonly now: number;
  readonly blocked: string | undefined;
  readonly onRevert: () => void;
  readonly onRemove: () => void;
}): ReactElement {
  const { snapshot, now, blocked } = props;
  const vms = Object.entries(snapshot.vms);
  return (
    <section className={styles.detail} aria-label={`Snapshot ${snapshot.name}`}>
      <header className={styles.detailHeader}>
        <div>
          <h2 className="mono">{snapshot.name}</h2>
          <p className="dim">
            Taken {formatClock(snapshot.createdAt, now)} ({formatAgo(snapshot.createdAt, now)})
            {snapshot.parent !== null && <> after “{snapshot.parent}”</>}
            {snapshot.current && '. The present is built on it.'}
          </p>
        </div>
        <span className={styles.space} />
        <GuardedButton
          blocked={blocked}
          variant="subtle"
          color="gray"
          leftSection={<IconTrash size={16} stroke={1.6} />}
          onClick={props.onRemove}
        >
          Delete
        </GuardedButton>
        <GuardedButton blocked={blocked} leftSection={<IconArrowBackUp size={16} stroke={1.6} />} onClick={props.onRevert}>
          Revert {count(vms.length, 'VM')}
        </GuardedButton>
      </header>
      <table className={table.table} aria-label={`VMs in ${snapshot.name}`}>
        <tbody>
          {vms.map(([vm, kind]) => (
            <tr key={vm}>
              <td className={`${styles.vm} mono`}>{vm}</td>
              <td>
                {kind === 'memory' ? (
                  <StateMark tone="off" icon={IconCircleDot}>
                    memory and disks: it was running and goes on from there
                  </StateMark>
                ) : (
                  <StateMark tone="off" icon={IconCircle}>
                    disks only: it was off
                  </StateMark>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The timeline with its actions: take, revert, delete. */
export function SnapshotsView(props: { readonly prefix: PrefixState; readonly blocked: string | undefined }): ReactElement {
  const { prefix, blocked } = props;
  const call = useCall();
  const now = useNow(true, 15_000);
  const field = useRef<HTMLInputElement>(null);
  const names = prefix.snapshots.map((snapshot) => snapshot.name);
  const [typed, setTyped] = useState<string | null>(null);
  const [selected, setSelected] = useState<string | null>(null);
  const [dialog, setDialog] = useState<{ readonly kind: 'revert' | 'remove'; readonly name: string } | null>(null);

  const name = typed ?? freeName('snapshot-1', names);
  const problem = nameProblem(name, names);
  const shown =
    prefix.snapshots.find((snapshot) => snapshot.name === selected) ??
    prefix.snapshots.find((snapshot) => snapshot.current) ??
    prefix.snapshots.at(-1);
  const asked = prefix.snapshots.find((snapshot) => snapshot.name === dialog?.name);

  async function take(event: SyntheticEvent): Promise<void> {
    event.preventDefault();
    if (problem !== undefined || blocked !== undefined) return;
    const started = await call(`Could not take the snapshot “${name}”`, (client) => client.snapshot.create({ prefix: prefix.id, name }));
    if (started !== undefined) setTyped(null);
  }

  function ask(kind: 'revert' | 'remove', target: string): void {
    if (blocked === undefined) setDialog({ kind, name: target });
  }

  return (
    <div className={styles.view}>
      <form className={styles.take} onSubmit={(event) => void take(event)}>
        <TextInput
          ref={field}
          aria-label="Snapshot name"
          classNames={{ input: `mono ${styles.field}` }}
          value={name}
          spellCheck={false}
          autoComplete="off"
          error={typed !== null && problem !== undefined}
          onChange={(event) => setTyped(event.currentTarget.value)}
          onFocus={(event) => event.currentTarget.select()}
        />
        <GuardedButton type="submit" blocked={blocked ?? problem} variant="filled" leftSection={<IconCamera size={16} stroke={1.6} />}>
          Take snapshot
        </GuardedButton>
        <span className={styles.hint} data-bad={typed !== null && problem !== undefined} role="status">
          {typed !== null && problem !== undefined ? problem : `All VMs together. Running ones are kept with their memory.`}
        </span>
      </form>
      {shown === undefined ? (
        <Empty
          compact
          icon={IconCamera}
          title="No snapshots yet"
          body="A snapshot keeps all VMs at one moment; you can come back to it as often as you like."
        />
      ) : (
        <>
          <TimelineView
            snapshots={prefix.snapshots}
            now={now}
            selected={shown.name}
            onSelect={setSelected}
            onRevert={(target) => ask('revert', target)}
            onRemove={(target) => ask('remove', target)}
            onTake={() => field.current?.focus()}
          />
          <p className={styles.legend}>
            <span>
              <IconCircleDot size={12} stroke={2} /> with memory
            </span>
            <span>
              <IconCircle size={12} stroke={2} /> disks only
            </span>
            <span className={styles.space} />
            <span>
              <kbd>←</kbd> <kbd>→</kbd> move
            </span>
            <span>
              <kbd>Enter</kbd> revert
            </span>
            <span>
              <kbd>N</kbd> take
            </span>
            <span>
              <kbd>Del</kbd> delete
            </span>
          </p>
          <Detail
            snapshot={shown}
            now={now}
            blocked={blocked}
            onRevert={() => ask('revert', shown.name)}
            onRemove={() => ask('remove', shown.name)}
          />
        </>
      )}
      {asked !== undefined && dialog?.kind === 'revert' && (
        <RevertDialog
          prefix={prefix}
          snapshot={asked}
          now={now}
          proposed={freeName('before-revert', names)}
          onClose={() => setDialog(null)}
          onRevert={(first) => {
            setDialog(null);
            void call(`Could not revert to “${asked.name}”`, (client) =>
              client.snapshot.revert({ prefix: prefix.id, name: asked.name, ...(first === null ? {} : { first }) }),
            );
          }}
        />
      )}
      {asked !== undefined && dialog?.kind === 'remove' && (
        <RemoveDialog
          snapshot={asked}
          onClose={() => setDialog(null)}
          onRemove={() => {
            setDialog(null);
            void call(`Could not delete the snapshot “${asked.name}”`, (client) =>
              client.snapshot.remove({ prefix: prefix.id, name: asked.name }),
            );
          }}
        />
      )}
    </div>
  );
}
