import { Button } from '@mantine/core';
import { type ReactElement, useEffect, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { WireError } from '../../src-shared/errors.ts';
import type { StoredRepoState } from '../../src-shared/repos/repo-store-state.ts';
import { readError } from '../engine-client.ts';
import { useCall, useEngine } from '../engine-context.ts';
import { count } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import styles from './dialogs.module.css';

interface Gone {
  readonly name: string;
  readonly size: number;
}

/** What goes: one repository, or whatever the engine says is unused; undefined until it has said so. */
function useGone(repo: StoredRepoState | null): { readonly gone: readonly Gone[] | undefined; readonly error: WireError | undefined } {
  const { connection } = useEngine();
  const [gone, setGone] = useState<readonly Gone[] | undefined>(repo === null ? undefined : [repo]);
  const [error, setError] = useState<WireError>();
  useEffect(() => {
    if (repo !== null) return undefined;
    const abort = new AbortController();
    async function ask(): Promise<void> {
      try {
        const { repos } = await connection.client.repos.unused(undefined, { signal: abort.signal });
        if (!abort.signal.aborted) setGone(repos);
      } catch (failure) {
        if (!abort.signal.aborted) setError(readError(failure));
      }
    }
    void ask();
    return () => abort.abort();
  }, [connection, repo]);
  return { gone, error };
}

/** Says what goes before repositories are removed from the store: `repo`, or all that no environment uses. */
export function RemoveReposDialog(props: { readonly repo: StoredRepoState | null; readonly onClose: () => void }): ReactElement {
  const { repo, onClose } = props;
  const call = useCall();
  const { gone, error } = useGone(repo);
  const names = gone?.map(({ name }) => name) ?? [];
  const bytes = formatBytes(gone?.reduce((sum, { size }) => sum + size, 0) ?? 0);
  function remove(): void {
    if (names.length === 0) return;
    onClose();
    void call('Could not remove package repositories', (client) => client.repos.remove({ names }));
  }
  return (
    <Dialog
      title={repo === null ? 'Clean unused package repositories' : `Remove ${repo.name}?`}
      width={540}
      onClose={onClose}
      onSubmit={remove}
      actions={
        <>
          <Button onClick={onClose} data-autofocus>
            {names.length === 1 ? 'Keep it' : 'Keep them'}
          </Button>
          <Button type="submit" variant="filled" color="red" disabled={names.length === 0}>
            {gone !== undefined && names.length === 0
              ? 'Nothing to remove'
              : `Remove ${names.length === 1 ? 'it' : count(names.length, 'repository', 'repositories')}, free ${bytes}`}
          </Button>
        </>
      }
    >
      {error !== undefined && <ErrorNotice error={error} />}
      {repo === null && error === undefined && (
        <div className={styles.list} role="group" aria-label="What goes" aria-busy={gone === undefined} tabIndex={0}>
          {gone?.length === 0 ? (
            <p className={styles.none}>Every package repository is used by an environment.</p>
          ) : (
            <ul>
              {gone?.map(({ name, size }) => (
                <li key={name} className={styles.row}>
                  <span className="ellipsis">{name}</span>
                  <span className="nowrap">{formatBytes(size)}</span>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      <p className={styles.about}>
        {repo === null
          ? 'Their packages are removed from the store. Repositories that environments use stay, and so does what environments have merged.'
          : 'Its packages are removed from the store. No environment uses it; what environments have merged stays.'}
      </p>
      <p className="dim">What is removed is fetched anew when it is synchronised again.</p>
    </Dialog>
  );
}
