import { IconChevronRight } from '@tabler/icons-react';
import { type KeyboardEvent, memo, type ReactElement, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { OperationState } from '../../src-shared/operation.ts';
import type { StoredRepoState } from '../../src-shared/repos/repo-store-state.ts';
import { UserLinks } from '../environments/user-links.tsx';
import { formatAgo } from '../format.ts';
import { StatusCell } from '../ui/feedback/status-cell.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { type MenuPlace, menuPlace } from '../ui/menu/action.ts';
import { ActionMenu, ContextMenu } from '../ui/menu/action-menu.tsx';
import { moveRow } from '../ui/move-row.ts';
import table from '../ui/table.module.css';
import { TableHead } from '../ui/table-head.tsx';
import unfolding from '../ui/unfolding-row.module.css';
import { RepoDetails } from './repo-details.tsx';
import { isSameWork, type RepoWork, repoStatus, workOn } from './repo-status.ts';
import styles from './repo-table.module.css';
import { useRepoActions } from './use-repo-actions.ts';

/** What all rows share. Its members must keep their identity, so that rows do not re-render. */
interface RowContext {
  readonly now: number;
  readonly onOpen: (name: string, open: boolean) => void;
  readonly onRemove: (repo: StoredRepoState) => void;
}

interface RowProps {
  readonly repo: StoredRepoState;
  readonly work: RepoWork | undefined;
  /** Whether the operation works on others too, so that pausing and cancelling concern them all. */
  readonly shared: boolean;
  readonly open: boolean;
  readonly focusable: boolean;
  readonly context: RowContext;
}

/** Whether a row looks the same: an operation that works on many repositories must not draw all their rows anew at each step of one. */
function isSameRow(a: RowProps, b: RowProps): boolean {
  return (
    a.repo === b.repo &&
    a.open === b.open &&
    a.shared === b.shared &&
    a.focusable === b.focusable &&
    a.context === b.context &&
    isSameWork(a.work, b.work)
  );
}

const RepoRow = memo(function RepoRow(props: RowProps): ReactElement {
  const { repo, work, open, context } = props;
  const { name, kind, source, syncedAt } = repo;
  const [place, setPlace] = useState<MenuPlace | null>(null);
  const actions = useRepoActions(context.onRemove)(repo, work, props.shared);
  const toggle = (): void => context.onOpen(name, !open);

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter' || event.key === ' ') toggle();
    else if (event.key === 'ArrowRight') context.onOpen(name, true);
    else if (event.key === 'ArrowLeft') context.onOpen(name, false);
    else if (event.key === 'Delete') {
      const remove = actions.find(({ id }) => id === 'remove');
      if (remove?.blocked === undefined) remove?.run();
    } else if (!moveRow(event)) return;
    event.preventDefault();
  }

  return (
    <>
      <tr
        aria-label={name}
        aria-level={1}
        aria-expanded={open}
        tabIndex={props.focusable ? 0 : -1}
        data-menu={place !== null}
        onClick={toggle}
        onKeyDown={onKeyDown}
        onContextMenu={(event) => setPlace(menuPlace(event))}
      >
        <td className={styles.name}>
          <span className={unfolding.title}>
            <IconChevronRight size={14} stroke={1.8} className={unfolding.chevron ?? ''} data-open={open} />
            <span className="ellipsis" title={name}>
              {name}
            </span>
            {kind !== null && <span className={unfolding.tag}>{kind}</span>}
          </span>
          <span className={styles.source} title={source}>
            {source}
          </span>
        </td>
        <td className={styles.distro}>{repo.distro ?? <span className="faint">–</span>}</td>
        <StatusCell
          status={repoStatus(repo, work, context.now)}
          what={name}
          className={styles.state}
          failureShows="Click for what to do."
          onFailure={() => context.onOpen(name, true)}
        />
        <td className={styles.when} title={syncedAt === null ? undefined : new Date(syncedAt).toLocaleString()}>
          {syncedAt === null ? <span className="faint">never</span> : formatAgo(syncedAt, context.now)}
        </td>
        <td className={table.number}>{repo.packages.toLocaleString('en')}</td>
        <td className={table.number}>{formatBytes(repo.size)}</td>
        <td className={styles.usedBy}>
          <UserLinks users={repo.usedBy} />
        </td>
        <td className={table.actions} onClick={(event) => event.stopPropagation()}>
          <div className={table.actionRow}>
            {actions
              .filter((action) => action.button)
              .map((action) => (
                <IconButton
                  key={action.id}
                  label={`${action.label.replace(/ all$/, '')} ${action.id === 'show' ? 'of ' : ''}${name}`}
                  tip={action.blocked ?? action.label}
                  icon={action.icon}
                  disabled={action.blocked !== undefined}
                  onClick={action.run}
                />
              ))}
            <ActionMenu label={`More for ${name}`} actions={actions} />
          </div>
          <ContextMenu label={`Actions for ${name}`} place={place} actions={actions} onClose={() => setPlace(null)} />
        </td>
      </tr>
      {open && (
        <tr aria-level={2} aria-label={`Details of ${name}`} className={styles.details}>
          <td colSpan={8}>
            <RepoDetails repo={repo} now={context.now} />
          </td>
        </tr>
      )}
    </>
  );
}, isSameRow);

/** Repositories that unfold to what their last synchronisation did. Arrow keys move, fold and unfold; every action is also in the row's menus. */
export function RepoTable(props: {
  readonly repos: readonly StoredRepoState[];
  readonly open: readonly string[];
  readonly operations: readonly OperationState[];
  readonly context: RowContext;
}): ReactElement {
  const { repos, open, operations, context } = props;
  const byId = new Map(operations.map((operation) => [operation.id, operation]));
  /** Id of an operation → how many repositories it works on. */
  const taken = new Map<string | null, number>();
  for (const { operation } of repos) if (operation !== null) taken.set(operation, (taken.get(operation) ?? 0) + 1);
  return (
    <table className={`${table.table} ${table.rows} ${styles.table}`} role="treegrid" aria-label="Package repositories">
      <TableHead
        columns={[
          'Repository',
          { heading: 'For', title: 'The distribution that its id ends in', className: styles.distro },
          { heading: 'State', className: styles.state },
          { heading: 'Last sync', title: 'When it was last compared with its server', className: styles.when },
          { heading: 'Packages', className: `${table.number} ${styles.packages}` },
          { heading: 'Size', className: `${table.number} ${styles.size}` },
          { heading: 'Used by', className: styles.usedBy },
          { heading: 'Actions', hidden: true, className: styles.actions },
        ]}
      />
      <tbody>
        {repos.map((repo, index) => (
          <RepoRow
            key={repo.name}
            repo={repo}
            shared={(taken.get(repo.operation) ?? 0) > 1}
            work={workOn(repo, byId)}
            open={open.includes(repo.name)}
            focusable={index === 0}
            context={context}
          />
        ))}
      </tbody>
    </table>
  );
}
