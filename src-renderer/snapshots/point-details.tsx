import { IconCircle, IconCircleDot, IconCircleX, IconPencil, IconPin, IconPinFilled } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { formatAgo, formatClock } from '../format.ts';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import type { Action } from '../ui/menu/action.ts';
import { ActionMenu } from '../ui/menu/action-menu.tsx';
import table from '../ui/table.module.css';
import { type Column, TableHead } from '../ui/table-head.tsx';
import { EditForm, type SnapshotEdit } from './edit-form.tsx';
import { EnvironmentLinks } from './environment-links.tsx';
import styles from './point-details.module.css';
import { damageOfVm, formatShort, measuredSentence, mechanismSentence } from './point-facts.ts';
import type { ForkedEnvironment } from './timeline/forks.ts';

function VmRow(props: { readonly snapshot: SnapshotState; readonly vm: string }): ReactElement {
  const { snapshot, vm } = props;
  const size = snapshot.sizes[vm];
  const damage = damageOfVm(snapshot, vm);
  const still = snapshot.measured?.stillMs[vm];
  return (
    <tr>
      <td className="mono">{vm}</td>
      <td>
        {damage !== undefined ? (
          <StateMark tone="bad" icon={IconCircleX}>
            {damage}
          </StateMark>
        ) : snapshot.vms[vm] === 'memory' ? (
          <StateMark tone="off" icon={IconCircleDot}>
            memory and disks<span className={styles.more}>: it was running and goes on from there</span>
          </StateMark>
        ) : (
          <StateMark tone="off" icon={IconCircle}>
            disks only<span className={styles.more}>: it was off</span>
          </StateMark>
        )}
      </td>
      <td className={table.number}>{still === undefined ? '–' : formatShort(still)}</td>
      <td className={table.number}>{size === undefined || size.memory === 0 ? '–' : formatBytes(size.memory)}</td>
      <td className={table.number}>{size === undefined ? '–' : formatBytes(size.disk)}</td>
    </tr>
  );
}

const COLUMNS: readonly Column[] = [
  'VM',
  'Kept',
  { heading: 'Stood still', number: true },
  { heading: 'Memory', number: true },
  { heading: 'Disks', number: true },
];

interface PointDetailsProps {
  readonly snapshot: SnapshotState;
  readonly now: number;
  /** Environments that were forked from it. */
  readonly forks: readonly ForkedEnvironment[];
  readonly actions: readonly Action[];
  /** Names of all snapshots. */
  readonly names: readonly string[];
  readonly editing: boolean;
  readonly onEdit: (editing: boolean) => void;
  readonly onSave: (edit: SnapshotEdit) => void;
  readonly onOpen: (environment: string) => void;
}

/** Everything about the selected snapshot, and what can be done with it. */
export function PointDetails(props: PointDetailsProps): ReactElement {
  const { snapshot, now, actions } = props;
  const byId = (id: string): Action | undefined => actions.find((action) => action.id === id);
  const [pin, edit, revert] = [byId('pin'), byId('edit'), byId('revert')];
  const secondary = [byId('fork'), byId('compare'), byId('remove')].filter((action) => action !== undefined);
  const measured = measuredSentence(snapshot);
  return (
    <section className={styles.details} aria-label={`Snapshot ${snapshot.name}`}>
      <header className={styles.header}>
        <div className={styles.identity}>
          <div className={styles.title}>
            <h2 className="mono ellipsis">{snapshot.name}</h2>
            {pin !== undefined && (
              <IconButton
                label={pin.label}
                tip={pin.blocked ?? (snapshot.pinned ? 'Unpin: it may be deleted with the others' : 'Pin: keep it when others are deleted')}
                icon={snapshot.pinned ? IconPinFilled : IconPin}
                disabled={pin.blocked !== undefined}
                onClick={pin.run}
              />
            )}
            {edit !== undefined && (
              <IconButton
                label="Change name, note and tags"
                tip={edit.blocked ?? 'Change name, note and tags'}
                icon={IconPencil}
                disabled={edit.blocked !== undefined}
                onClick={edit.run}
              />
            )}
            {snapshot.tags.map((tag) => (
              <span key={tag} className={styles.tag}>
                {tag}
              </span>
            ))}
          </div>
          <p className="dim">
            Taken {formatClock(snapshot.createdAt, now)} ({formatAgo(snapshot.createdAt, now)}){snapshot.automatic && ' by the program'}
            {snapshot.parent !== null && <> after “{snapshot.parent}”</>}
            {snapshot.current && '. The present is built on it.'}
          </p>
        </div>
        <div className={styles.buttons}>
          {secondary.map((action) => (
            <GuardedButton
              key={action.id}
              blocked={action.blocked}
              variant={action.danger === true ? 'subtle' : 'default'}
              {...(action.danger === true ? { color: 'gray' } : {})}
              leftSection={<action.icon size={16} stroke={1.6} />}
              onClick={action.run}
            >
              {action.label.replace('…', '')}
            </GuardedButton>
          ))}
          {revert !== undefined && (
            <GuardedButton blocked={revert.blocked} leftSection={<revert.icon size={16} stroke={1.6} />} onClick={revert.run}>
              {revert.label}
            </GuardedButton>
          )}
          <ActionMenu label={`More for ${snapshot.name}`} actions={actions} />
        </div>
      </header>
      {props.editing ? (
        <EditForm key={snapshot.name} snapshot={snapshot} taken={props.names} onClose={() => props.onEdit(false)} onSave={props.onSave} />
      ) : (
        snapshot.note !== '' && <p className={styles.note}>{snapshot.note}</p>
      )}
      {props.forks.length > 0 && <EnvironmentLinks label="Forks" environments={props.forks} onOpen={props.onOpen} />}
      <table className={table.table} aria-label={`VMs in ${snapshot.name}`}>
        <TableHead columns={COLUMNS} />
        <tbody>
          {Object.keys(snapshot.vms).map((vm) => (
            <VmRow key={vm} snapshot={snapshot} vm={vm} />
          ))}
        </tbody>
      </table>
      {measured !== '' && (
        <p className={styles.measured} title={mechanismSentence(snapshot)}>
          {measured}
        </p>
      )}
    </section>
  );
}
