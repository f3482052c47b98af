import { IconAlertCircle } from '@tabler/icons-react';
import { type ReactElement, useEffect, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { NamedPackages } from '../../src-shared/repos/last-sync.ts';
import type { RepoChanges, StoredRepoState } from '../../src-shared/repos/repo-store-state.ts';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { count, formatAgo } from '../format.ts';
import { useConnection } from '../live-cache.ts';
import { Copyable } from '../ui/copyable.tsx';
import styles from './repo-details.module.css';

/** Names of packages that came and went; undefined until the engine has told them. Read again when a synchronisation has ended. */
function useChanges(repo: StoredRepoState): RepoChanges | { readonly failure: string } | undefined {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [changes, setChanges] = useState<RepoChanges | { readonly failure: string }>();
  const { name } = repo;
  const at = repo.last?.at ?? 0;
  useEffect(() => {
    if (!connected) return undefined;
    const abort = new AbortController();
    async function read(): Promise<void> {
      try {
        const found = await connection.client.repos.changes({ name }, { signal: abort.signal });
        if (!abort.signal.aborted) setChanges(found);
      } catch (error) {
        if (!abort.signal.aborted) setChanges({ failure: readError(error).message });
      }
    }
    void read();
    return () => abort.abort();
    // `at` changes when there is something new to read.
  }, [connection, connected, name, at]);
  return changes;
}

function Names(props: { readonly title: string; readonly repo: string; readonly packages: NamedPackages }): ReactElement | null {
  const { title, repo, packages } = props;
  if (packages.count === 0) return null;
  const more = packages.count - packages.names.length;
  return (
    <div className={styles.names}>
      <p className={styles.heading}>
        {title} <span className="faint">{packages.count.toLocaleString('en')}</span>
      </p>
      <ul className="mono" tabIndex={0} aria-label={`${title} packages of ${repo}`}>
        {packages.names.map((name) => (
          <li key={name}>{name}</li>
        ))}
        {more > 0 && <li className="faint">and {more.toLocaleString('en')} more</li>}
      </ul>
    </div>
  );
}

function Problem(props: { readonly title: string; readonly lines: readonly string[]; readonly hint?: string | null }): ReactElement {
  const { title, lines, hint = null } = props;
  return (
    <div className={styles.problem} role="group" aria-label={title}>
      <IconAlertCircle size={16} stroke={1.8} />
      <div>
        <p className={styles.problemTitle}>{title}</p>
        {lines.map((line) => (
          <p key={line}>{line}</p>
        ))}
        {hint !== null && <p className="dim">{hint}</p>}
      </div>
    </div>
  );
}

const PROBLEM_LINES = 8;

function Problems(props: { readonly repo: StoredRepoState; readonly ended: RepoChanges['ended'] }): ReactElement | null {
  const { last } = props.repo;
  if (last === null) return null;
  if (last.error !== null) return <Problem title="The last sync failed" lines={[last.error.message]} hint={last.error.hint} />;
  const { problems } = props.ended ?? {};
  if (last.problems === 0 || problems === undefined) return null;
  const shown = problems.first.slice(0, PROBLEM_LINES);
  const more = problems.count - shown.length;
  return (
    <Problem
      title={`${count(problems.count, 'package')} could not be had`}
      lines={more > 0 ? [...shown, `And ${more} more.`] : shown}
      hint="Everything else is there. The next sync fetches only what is missing."
    />
  );
}

/** What the last synchronisation of a repository did, why it failed, and where the repository comes from. */
export function RepoDetails(props: { readonly repo: StoredRepoState; readonly now: number }): ReactElement {
  const { repo, now } = props;
  const { origin, last, change } = repo;
  const changes = useChanges(repo);
  const known = changes === undefined || 'failure' in changes ? undefined : changes;
  const names = known?.change;
  return (
    <div className={styles.details}>
      <Problems repo={repo} ended={known?.ended ?? null} />
      {changes !== undefined && 'failure' in changes && <p className={styles.failure}>{changes.failure}</p>}
      <dl className={styles.facts}>
        {last !== null && (
          <div>
            <dt>Last sync</dt>
            <dd>
              {formatAgo(last.at, now)}, {last.fetched.packages === 0 ? 'no package' : count(last.fetched.packages, 'package')} fetched
              {last.fetched.bytes > 0 && ` (${formatBytes(last.fetched.bytes)})`}
            </dd>
          </div>
        )}
        <div>
          <dt>Defined in</dt>
          <dd>
            {origin === null ? (
              <span className="dim">not known: it was synchronised by an earlier version. Sync it once from its file.</span>
            ) : (
              <>
                <Copyable text={origin.file} what="path of the file" />
                {origin.missing && <span className={styles.missing}>The file is gone: it cannot be synchronised until it is back.</span>}
              </>
            )}
          </dd>
        </div>
        {repo.source !== '' && (
          <div>
            <dt>Address</dt>
            <dd>
              <Copyable text={repo.source} what="address" />
            </dd>
          </div>
        )}
        <div>
          <dt>Folder</dt>
          <dd>
            <Copyable text={repo.path} what="path of the folder" />
          </dd>
        </div>
      </dl>
      {change !== null && names !== null && names !== undefined && (
        <div className={styles.changes}>
          <p className="dim">
            {change.at === last?.at
              ? 'The last sync brought:'
              : `What came and went ${formatAgo(change.at, now)}, the last time that any did:`}
          </p>
          <div className={styles.lists}>
            <Names title="New" repo={repo.name} packages={names.added} />
            <Names title="Gone" repo={repo.name} packages={names.removed} />
          </div>
        </div>
      )}
    </div>
  );
}
