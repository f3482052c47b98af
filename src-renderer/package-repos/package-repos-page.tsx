import { Button } from '@mantine/core';
import '@mantine/core/styles/InlineInput.css';
import '@mantine/core/styles/Input.css';
import {
  IconAlertTriangle,
  IconFileImport,
  IconPackages,
  IconPlayerPause,
  IconPlayerPlay,
  IconRefresh,
  IconSearch,
  IconTrash,
  IconX,
} from '@tabler/icons-react';
import { type ReactElement, Suspense, useCallback, useMemo, useRef, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { OperationState } from '../../src-shared/operation.ts';
import type { RepoStoreState, StoredRepoState } from '../../src-shared/repos/repo-store-state.ts';
import { useCall } from '../engine-context.ts';
import { count, dots } from '../format.ts';
import { isRunning, useOperations, useRepoStore, useUnreachable } from '../live-cache.ts';
import { Copyable } from '../ui/copyable.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import page from '../ui/list-page.module.css';
import { PageFilter } from '../ui/search-field.tsx';
import { useWindow } from '../window-state.ts';
import { RemoveReposDialog, SyncFileDialog } from './lazy-dialogs.ts';
import { filterRepos } from './repo-status.ts';
import { RepoTable } from './repo-table.tsx';

/** `repo` null: all that are unused. */
type OpenDialog = { readonly kind: 'file' } | { readonly kind: 'remove'; readonly repo: StoredRepoState | null };

/** Buttons for all synchronisations that are under way, else one that begins all. */
function SyncButtons(props: { readonly running: readonly OperationState[]; readonly store: RepoStoreState }): ReactElement {
  const { running, store } = props;
  const call = useCall();
  const unreachable = useUnreachable();
  if (running.length === 0) {
    const none = store.repos.length === 0 ? 'There is no package repository yet' : undefined;
    return (
      <GuardedButton
        blocked={unreachable ?? none}
        leftSection={<IconRefresh size={16} stroke={1.6} />}
        onClick={() => void call('Could not synchronise', (client) => client.repos.syncStored({ names: [] }))}
      >
        Sync all
      </GuardedButton>
    );
  }
  const paused = running.every((operation) => operation.paused === true);
  const cancelling = running.every((operation) => operation.status === 'cancelling') ? 'They are being cancelled' : undefined;
  const each = (failed: string, act: 'pause' | 'resume' | 'cancel'): void => {
    for (const { id } of running) void call(failed, (client) => client.operation[act]({ operation: id }));
  };
  const all = running.length === 1 ? '' : ' all';
  return (
    <>
      <GuardedButton
        blocked={unreachable ?? cancelling}
        leftSection={paused ? <IconPlayerPlay size={16} stroke={1.6} /> : <IconPlayerPause size={16} stroke={1.6} />}
        onClick={() => (paused ? each('Could not resume', 'resume') : each('Could not pause', 'pause'))}
      >
        {paused ? `Resume${all}` : `Pause${all}`}
      </GuardedButton>
      <GuardedButton
        blocked={unreachable ?? cancelling}
        leftSection={<IconX size={16} stroke={1.6} />}
        onClick={() => each('Could not cancel', 'cancel')}
      >
        {`Cancel${all}`}
      </GuardedButton>
    </>
  );
}

function Repositories(props: {
  readonly store: RepoStoreState;
  readonly operations: readonly OperationState[];
  readonly onDialog: (dialog: OpenDialog) => void;
}): ReactElement {
  const { store, operations, onDialog } = props;
  const { state, dispatch } = useWindow();
  const { filter, open } = state.repositories;
  const now = useNow(true, 30_000);
  const opened = useRef(open);
  opened.current = open;
  const setFilter = (text: string): void => dispatch({ type: 'repositories', change: { filter: text } });
  const context = useMemo(
    () => ({
      now,
      onOpen(name: string, shown: boolean) {
        const rest = opened.current.filter((one) => one !== name);
        dispatch({ type: 'repositories', change: { open: shown ? [...rest, name] : rest } });
      },
      onRemove: (repo: StoredRepoState) => onDialog({ kind: 'remove', repo }),
    }),
    [now, dispatch, onDialog],
  );
  const shown = useMemo(() => filterRepos(store.repos, filter), [store.repos, filter]);
  if (store.repos.length === 0) {
    return (
      <Empty
        icon={IconPackages}
        title="No package repositories yet"
        body="Synchronise the repositories of a .repo file or of apt sources once: every environment can use their packages, also without a network."
      >
        <Button variant="filled" leftSection={<IconFileImport size={16} stroke={1.6} />} onClick={() => onDialog({ kind: 'file' })}>
          Sync from a file…
        </Button>
      </Empty>
    );
  }
  return (
    <>
      <div className={page.tools}>
        <PageFilter
          label="Filter package repositories"
          placeholder="Filter by name, address, environment"
          value={filter}
          onChange={setFilter}
        />
      </div>
      {shown.length > 0 ? (
        <RepoTable repos={shown} open={open} operations={operations} context={context} />
      ) : (
        <Empty compact icon={IconSearch} title={`No package repository fits “${filter.trim()}”`}>
          <Button onClick={() => setFilter('')}>Clear the filter</Button>
        </Empty>
      )}
    </>
  );
}

/** The shared store of package repositories: what it has, what is new, what went wrong, and which environments use it. */
export function PackageReposPage(): ReactElement {
  const store = useRepoStore();
  const operations = useOperations();
  const unreachable = useUnreachable();
  const [dialog, setDialog] = useState<OpenDialog | null>(null);
  const close = useCallback(() => setDialog(null), []);
  const running = operations.filter((operation) => operation.kind === 'sync' && isRunning(operation));
  const unused = store?.repos.some(({ usedBy }) => usedBy.length === 0) === true;
  return (
    <div className={page.page} aria-busy={store === undefined}>
      <header className={page.header}>
        <div className={page.identity}>
          <h1>Package repositories</h1>
          <div className={page.facts}>
            {store !== undefined && (
              <>
                <span>
                  {store.repos.length === 0
                    ? 'Nothing in the store yet'
                    : dots(
                        count(store.repos.length, 'repository', 'repositories'),
                        formatBytes(store.size),
                        store.unused > 0 && `${formatBytes(store.unused)} unused`,
                      )}
                </span>
                <span className={page.store}>
                  <Copyable text={store.store} what="path of the store" />
                </span>
              </>
            )}
          </div>
        </div>
        {store !== undefined && (
          <div className={page.actions}>
            <GuardedButton
              blocked={unreachable ?? (unused ? undefined : 'Nothing in the store is unused')}
              leftSection={<IconTrash size={16} stroke={1.6} />}
              onClick={() => setDialog({ kind: 'remove', repo: null })}
            >
              Clean unused…
            </GuardedButton>
            <SyncButtons running={running} store={store} />
            <GuardedButton
              blocked={unreachable}
              leftSection={<IconFileImport size={16} stroke={1.6} />}
              onClick={() => setDialog({ kind: 'file' })}
            >
              Sync from a file…
            </GuardedButton>
          </div>
        )}
      </header>
      {store !== undefined && (
        <>
          {store.problem !== null && (
            <p className={page.strip} data-tone="bad" role="alert">
              <IconAlertTriangle size={16} stroke={1.8} />
              <span>{store.problem} What is shown may be out of date.</span>
            </p>
          )}
          <Repositories store={store} operations={operations} onDialog={setDialog} />
        </>
      )}
      <Suspense fallback={null}>
        {dialog?.kind === 'remove' && <RemoveReposDialog repo={dialog.repo} onClose={close} />}
        {dialog?.kind === 'file' && <SyncFileDialog onClose={close} />}
      </Suspense>
    </div>
  );
}
