import { IconArrowUp, IconDeviceFloppy, IconFile, IconFolder, IconFolderOpen, IconLink } from '@tabler/icons-react';
import { type ReactElement, useEffect, useEffectEvent, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { CollectedFile, Collection } from '../../src-shared/collection.ts';
import { useCall, useEngine } from '../engine-context.ts';
import { baseName, formatClock } from '../format.ts';
import { Copyable } from '../ui/copyable.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import list from '../ui/list-row.module.css';
import styles from './artifacts.module.css';
import { FileViewer } from './file-viewer.tsx';

const ICONS = { folder: IconFolder, link: IconLink, file: IconFile } as const;

/** What went wrong in a collection, one line each. */
function Problems(props: { readonly collection: Collection }): ReactElement | null {
  const { collection } = props;
  const lines = collection.vms.flatMap((vm) => [
    ...(vm.problem === null ? [] : [`${vm.name}: ${vm.problem}`]),
    ...vm.artifacts.flatMap(({ problem }) => (problem === null ? [] : [`${vm.name}: ${problem}`])),
  ]);
  if (lines.length === 0) return null;
  return (
    <ul className={styles.problems} aria-label="What is missing">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

/** The folders and files of a collection, and the file that is chosen. */
export function CollectionBrowser(props: { readonly prefix: string; readonly collection: Collection }): ReactElement {
  const { prefix, collection } = props;
  const call = useCall();
  const { expect } = useEngine();
  const [folder, setFolder] = useState('');
  const [file, setFile] = useState<string | null>(null);
  const [files, setFiles] = useState<readonly CollectedFile[]>([]);

  const load = useEffectEvent(async () => {
    const answer = await call('Could not read the collection', (client) =>
      client.collection.files({ prefix, collection: collection.id, path: folder }),
    );
    if (answer !== undefined) setFiles(answer.files);
  });
  useEffect(() => void load(), [prefix, collection, folder]);

  function open(entry: CollectedFile): void {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.type === 'folder') {
      setFolder(path);
      setFile(null);
    } else if (entry.type === 'file') setFile(path);
  }

  /** The chosen file, else the folder that is shown; empty for the whole collection. */
  const chosen = file ?? folder;
  const what = chosen === '' ? 'the collection' : baseName(chosen);

  async function save(): Promise<void> {
    const destination = await window.bridge.choosePath({ what: 'save', name: chosen === '' ? collection.id : baseName(chosen) });
    if (destination === null) return;
    const answer = await call(`Could not save ${what}`, (client) =>
      client.collection.save({ prefix, collection: collection.id, path: chosen, destination }),
    );
    if (answer !== undefined)
      expect(answer.operation, { title: `Saved ${what}`, message: 'It was saved to this path.', path: destination });
  }

  return (
    <section className={styles.browser} aria-label="Files of the collection">
      <Problems collection={collection} />
      <div className={styles.where}>
        <IconButton
          label="Up"
          icon={IconArrowUp}
          disabled={folder === ''}
          onClick={() => {
            setFolder(folder.split('/').slice(0, -1).join('/'));
            setFile(null);
          }}
        />
        <Copyable text={chosen === '' ? collection.folder : `${collection.folder}/${chosen}`} what="path" />
        <span className={styles.spacer} />
        <IconButton label={`Save ${what} as…`} icon={IconDeviceFloppy} onClick={() => void save()} />
        <IconButton
          label={`Show ${what} in the file manager`}
          icon={IconFolderOpen}
          onClick={() =>
            void call(`Could not show ${what}`, (client) => client.collection.show({ prefix, collection: collection.id, path: chosen }))
          }
        />
      </div>
      <ul className={styles.files} aria-label="Files">
        {files.length === 0 && <li className="faint">Nothing is here.</li>}
        {files.map((entry) => {
          const Symbol = ICONS[entry.type];
          const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
          return (
            <li key={entry.name}>
              <button
                type="button"
                className={`${list.row} ${styles.file}`}
                aria-current={path === file}
                disabled={entry.type === 'link'}
                onClick={() => open(entry)}
              >
                <Symbol size={16} stroke={1.6} />
                <span className="mono ellipsis">{entry.target === null ? entry.name : `${entry.name} → ${entry.target}`}</span>
                <span className={styles.spacer} />
                {entry.type === 'file' && <span className="dim">{formatBytes(entry.size)}</span>}
                <span className="faint">{formatClock(entry.modifiedAt, Date.now())}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {file !== null && <FileViewer prefix={prefix} collection={collection.id} path={file} />}
    </section>
  );
}
