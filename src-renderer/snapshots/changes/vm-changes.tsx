import { Button } from '@mantine/core';
import { type ReactElement, useEffect, useEffectEvent, useState } from 'react';
import type { TextDiff } from '../../../src-shared/collection.ts';
import type { Changes, FileChange, PackageChange } from '../../../src-shared/snapshot/changes.ts';
import { useCall } from '../../engine-context.ts';
import { count, formatClock } from '../../format.ts';
import { useOperations } from '../../live-cache.ts';
import { DiffLines } from '../../ui/diff-lines.tsx';
import { ErrorNotice } from '../../ui/feedback/error-notice.tsx';
import { ProgressBar } from '../../ui/feedback/progress-bar.tsx';
import table from '../../ui/table.module.css';
import { ChangeRows, Counts } from './change-rows.tsx';
import { changeTree } from './change-tree.ts';
import styles from './changes-dialog.module.css';

/** Which points of which VM. */
interface Points {
  readonly prefix: string;
  readonly vm: string;
  readonly from: string;
  readonly to: string | null;
}

/** Compares a VM's disks at two points and shows what changed. */
export function VmChanges(props: Points): ReactElement {
  const { prefix, vm, from, to } = props;
  const call = useCall();
  const [operation, setOperation] = useState<string | null>(null);
  const [changes, setChanges] = useState<Changes | null>(null);
  const state = useOperations().find(({ id }) => id === operation);
  const points = { prefix, vm, from, to };

  async function compare(): Promise<void> {
    const started = await call(`Could not compare ${vm}`, (client) => client.snapshot.compare(points));
    if (started !== undefined) setOperation(started.operation);
  }
  const begin = useEffectEvent(compare);
  useEffect(() => void begin(), []);
  const load = useEffectEvent(async () => {
    const answer = await call(`Could not read what changed in ${vm}`, (client) => client.snapshot.changes(points));
    if (answer !== undefined) setChanges(answer.changes);
  });
  const status = state?.status;
  useEffect(() => {
    if (status === 'succeeded') void load();
  }, [status, operation]);

  if (state?.status === 'failed' && state.error !== undefined) return <ErrorNotice error={state.error} onRetry={() => void compare()} />;
  if (state?.status === 'cancelled') {
    return (
      <p className="dim">
        Reading the disks was cancelled.{' '}
        <Button size="compact-xs" onClick={() => void compare()}>
          Read them
        </Button>
      </p>
    );
  }
  if (changes === null || (state !== undefined && state.status !== 'succeeded')) {
    return (
      <div className={styles.reading} role="status" aria-busy="true">
        <span className="dim">{state?.steps[0]?.detail ?? 'Reading the disks'}…</span>
        <ProgressBar fraction={state?.fraction ?? 0} label={`Comparing ${vm}`} />
        {operation !== null && (
          <Button
            size="compact-xs"
            variant="subtle"
            color="gray"
            onClick={() => void call('Could not cancel the comparison', (client) => client.operation.cancel({ operation }))}
          >
            Cancel
          </Button>
        )}
      </div>
    );
  }
  return <Found points={points} changes={changes} onAgain={() => void compare()} />;
}

function Found(props: { readonly points: Points; readonly changes: Changes; readonly onAgain: () => void }): ReactElement {
  const { points, changes } = props;
  const { counts, files, packages, notes } = changes;
  const [shown, setShown] = useState<FileChange | null>(null);
  const nothing = files.length === 0 && packages.length === 0;
  return (
    <div className={styles.found}>
      <div className={styles.summary}>
        {nothing ? <span>Nothing changed on its disks.</span> : <Counts counts={counts} />}
        {changes.truncated && <span className="dim">only the first {files.length} are listed</span>}
        <span className={styles.spacer} />
        {points.to === null && (
          <>
            <span className="dim">as of {formatClock(changes.readAt, Date.now())}</span>
            <Button size="compact-xs" variant="subtle" onClick={props.onAgain}>
              Read again
            </Button>
          </>
        )}
      </div>
      {notes.map((note) => (
        <p key={note} className="dim">
          {note}
        </p>
      ))}
      {packages.length > 0 && <Packages packages={packages} />}
      {files.length > 0 && (
        <div className={styles.tree}>
          <ChangeRows nodes={changeTree(files)} label="Changed files" shown={shown?.path ?? null} onShow={setShown} />
        </div>
      )}
      {shown !== null && <ChangedText key={shown.path} points={points} path={shown.path} />}
    </div>
  );
}

function Packages(props: { readonly packages: readonly PackageChange[] }): ReactElement {
  const { packages } = props;
  return (
    <details className={styles.packages} open={packages.length <= 20}>
      <summary>{count(packages.length, 'package')} changed</summary>
      <table className={table.table} aria-label="Changed packages">
        <thead>
          <tr>
            <th>Package</th>
            <th>Before</th>
            <th>After</th>
          </tr>
        </thead>
        <tbody>
          {packages.map(({ name, before, after }) => (
            <tr key={name}>
              <td className="mono">{name}</td>
              <td className="mono">{before ?? '–'}</td>
              <td className="mono">{after ?? '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

/** How the text of a file changed. */
function ChangedText(props: { readonly points: Points; readonly path: string }): ReactElement {
  const { points, path } = props;
  const call = useCall();
  const [diff, setDiff] = useState<TextDiff | null>(null);
  const load = useEffectEvent(async () => {
    const answer = await call(`Could not compare ${path}`, (client) => client.snapshot.changedText({ ...points, path }));
    if (answer !== undefined) setDiff(answer);
  });
  useEffect(() => void load(), []);
  return (
    <section aria-label={`Text of ${path}`}>
      <h3 className="mono">{path}</h3>
      <DiffLines diff={diff} path={path} />
    </section>
  );
}
