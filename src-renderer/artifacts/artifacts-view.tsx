import { Button, Checkbox } from '@mantine/core';
import { IconArchive, IconTrash } from '@tabler/icons-react';
import { type ReactElement, useEffect, useEffectEvent, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { CollectedChange, Collection } from '../../src-shared/collection.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { count, dots, formatClock } from '../format.ts';
import { isRunning, useOperations, useUnreachable } from '../live-cache.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import list from '../ui/list-row.module.css';
import styles from './artifacts.module.css';
import { CollectionBrowser } from './collection-browser.tsx';
import { DiffViewer } from './diff-viewer.tsx';
import { FileViewer } from './file-viewer.tsx';

const WHY = { manual: 'Collected', 'deploy failed': 'After a failed deploy', 'test failed': 'After a failed test' } as const;
const CHANGES = { added: 'Added', removed: 'Removed', changed: 'Changed' } as const;

function sizeOf(collection: Collection): number {
  return collection.vms.reduce((sum, vm) => sum + vm.artifacts.reduce((all, { size }) => all + size, 0), 0);
}

/** Files that are not the same in two collections. */
function Changes(props: { readonly prefix: string; readonly before: Collection; readonly after: Collection }): ReactElement {
  const { prefix, before, after } = props;
  const call = useCall();
  const [changes, setChanges] = useState<readonly CollectedChange[] | null>(null);
  const load = useEffectEvent(async () => {
    const answer = await call('Could not compare the collections', (client) =>
      client.collection.compare({ prefix, before: before.id, after: after.id }),
    );
    if (answer !== undefined) setChanges(answer.changes);
  });
  useEffect(() => void load(), [prefix, before.id, after.id]);
  const [shown, setShown] = useState<CollectedChange | null>(null);
  const now = Date.now();
  return (
    <section className={styles.browser} aria-label="Differences">
      <h2 className={styles.heading}>
        From {formatClock(before.at, now)} to {formatClock(after.at, now)}
      </h2>
      {changes?.length === 0 && <p className="dim">Both have the same files with the same content.</p>}
      <ul className={styles.files} aria-label="Changed files" aria-busy={changes === null}>
        {(changes ?? []).map(({ path, change, before: old, after: size }) => (
          <li key={path}>
            <button
              type="button"
              className={`${list.row} ${styles.file}`}
              aria-current={shown?.path === path}
              onClick={() => setShown({ path, change, before: old, after: size })}
            >
              <span className={styles.kind}>{CHANGES[change]}</span>
              <span className="mono ellipsis">{path}</span>
              <span className={styles.spacer} />
              <span className="dim">{[old, size].map((bytes) => (bytes === null ? '–' : formatBytes(bytes))).join(' → ')}</span>
            </button>
          </li>
        ))}
      </ul>
      {shown?.change === 'changed' && <DiffViewer key={shown.path} prefix={prefix} before={before.id} after={after.id} path={shown.path} />}
      {(shown?.change === 'added' || shown?.change === 'removed') && (
        <FileViewer key={shown.path} prefix={prefix} collection={shown.change === 'added' ? after.id : before.id} path={shown.path} />
      )}
    </section>
  );
}

/** What was collected from the VMs of an environment: newest first, to browse, read, compare and delete. */
export function ArtifactsView(props: { readonly prefix: PrefixState }): ReactElement {
  const { prefix } = props;
  const call = useCall();
  const unreachable = useUnreachable();
  const own = useOperations().filter((operation) => operation.prefix === prefix.id);
  const collecting = own.some((operation) => operation.kind === 'collect' && isRunning(operation));
  const ended = own.filter((operation) => !isRunning(operation)).length;
  const [collections, setCollections] = useState<readonly Collection[] | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const [compared, setCompared] = useState<readonly string[]>([]);

  const load = useEffectEvent(async () => {
    const answer = await call(`Could not read the artifacts of ${prefix.name}`, (client) => client.collection.list({ prefix: prefix.id }));
    if (answer !== undefined) setCollections(answer.collections);
  });
  // Collecting, here or after a failed deploy, is an operation that ends.
  useEffect(() => void load(), [prefix.id, ended]);

  async function remove(collection: Collection): Promise<void> {
    await call('Could not delete the collection', (client) => client.collection.remove({ prefix: prefix.id, collection: collection.id }));
    setCompared(compared.filter((id) => id !== collection.id));
    await load();
  }

  const collect = (
    <GuardedButton
      blocked={unreachable ?? (collecting ? 'Artifacts are being collected' : undefined)}
      variant="default"
      leftSection={<IconArchive size={16} stroke={1.6} />}
      onClick={() => void call(`Could not collect artifacts of ${prefix.name}`, (client) => client.prefix.collect({ prefix: prefix.id }))}
    >
      Collect artifacts
    </GuardedButton>
  );
  if (collections === null) return <div aria-busy="true" />;
  if (collections.length === 0) {
    return (
      <Empty
        icon={IconArchive}
        title="Nothing collected yet"
        body="Collecting fetches the files that the init file lists under “artifacts”, from VMs that run and from the disks of those that are off."
      >
        {collect}
      </Empty>
    );
  }
  const shown = collections.find(({ id }) => id === chosen) ?? collections[0];
  const pair = collections.filter(({ id }) => compared.includes(id));
  const [after, before] = pair;
  const now = Date.now();
  return (
    <div className={styles.view}>
      <div className={styles.side}>
        {collect}
        <ul className={styles.collections} aria-label="Collections">
          {collections.map((collection) => (
            <li key={collection.id} className={styles.collection} data-shown={collection === shown}>
              <Checkbox
                size="xs"
                aria-label={`Compare that of ${formatClock(collection.at, now)}`}
                checked={compared.includes(collection.id)}
                onChange={(event) =>
                  setCompared(
                    event.currentTarget.checked ? [...compared, collection.id].slice(-2) : compared.filter((id) => id !== collection.id),
                  )
                }
              />
              <button type="button" className={styles.choose} aria-current={collection === shown} onClick={() => setChosen(collection.id)}>
                <span>{formatClock(collection.at, now)}</span>
                <span className="dim">
                  {dots(
                    collection.finished || collecting ? WHY[collection.why] : 'Interrupted',
                    count(collection.vms.length, 'VM'),
                    formatBytes(sizeOf(collection)),
                  )}
                </span>
              </button>
              <IconButton
                label={`Delete that of ${formatClock(collection.at, now)}`}
                icon={IconTrash}
                onClick={() => void remove(collection)}
              />
            </li>
          ))}
        </ul>
        {pair.length === 2 && (
          <Button variant="subtle" size="compact-xs" onClick={() => setCompared([])}>
            Stop comparing
          </Button>
        )}
      </div>
      {before !== undefined && after !== undefined ? (
        <Changes prefix={prefix.id} before={before} after={after} />
      ) : (
        shown !== undefined && <CollectionBrowser key={shown.id} prefix={prefix.id} collection={shown} />
      )}
    </div>
  );
}
