import { Button } from '@mantine/core';
import { IconChevronDown, IconChevronRight, IconFile, IconFolder, IconLink, IconQuestionMark } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { FileChange } from '../../../src-shared/snapshot/changes.ts';
import list from '../../ui/list-row.module.css';
import type { ChangeCounts, ChangeNode } from './change-tree.ts';
import styles from './changes-dialog.module.css';

const ICONS = { file: IconFile, folder: IconFolder, link: IconLink, special: IconQuestionMark } as const;
const WORDS = { added: 'added', removed: 'removed', changed: 'changed' } as const;
/** Rows of one folder that are shown at once. */
const PAGE = 200;
/** A tree that is smaller is open at first. */
const SMALL = 40;

interface RowProps {
  readonly shown: string | null;
  readonly onShow: (change: FileChange) => void;
}

/** Entries of a folder, each with those below it when it is open. */
export function ChangeRows(props: RowProps & { readonly nodes: readonly ChangeNode[]; readonly label: string }): ReactElement {
  const { nodes, label, ...rest } = props;
  const [most, setMost] = useState(PAGE);
  return (
    <ul className={styles.rows} aria-label={label}>
      {nodes.slice(0, most).map((node) => (
        <ChangeRow key={node.path} node={node} {...rest} />
      ))}
      {nodes.length > most && (
        <li>
          <Button variant="subtle" size="compact-xs" onClick={() => setMost(most + PAGE)}>
            Show {Math.min(PAGE, nodes.length - most)} more
          </Button>
        </li>
      )}
    </ul>
  );
}

function ChangeRow(props: RowProps & { readonly node: ChangeNode }): ReactElement {
  const { node, shown, onShow } = props;
  const { change, children, counts, name, path } = node;
  const [open, setOpen] = useState(counts.added + counts.removed + counts.changed <= SMALL);
  const isFolder = children.length > 0;
  const Symbol = isFolder ? IconFolder : ICONS[change?.type ?? 'folder'];
  const Chevron = open ? IconChevronDown : IconChevronRight;
  const readable = change?.type === 'file' && !isFolder;
  return (
    <li>
      <button
        type="button"
        className={list.row}
        disabled={!isFolder && !readable}
        aria-expanded={isFolder ? open : undefined}
        aria-current={shown === path}
        onClick={() => (isFolder ? setOpen(!open) : change !== null && onShow(change))}
      >
        {isFolder ? <Chevron size={12} stroke={2} /> : <span className={styles.noChevron} />}
        <Symbol size={16} stroke={1.6} />
        <span className="mono ellipsis">{name}</span>
        {change !== null && (
          <span className={styles.change} data-change={change.change}>
            {[WORDS[change.change], ...change.aspects.filter((aspect) => aspect !== 'content')].join(', ')}
          </span>
        )}
        <span className={styles.spacer} />
        {isFolder ? <Counts counts={counts} /> : change !== null && <Sizes change={change} />}
      </button>
      {isFolder && open && <ChangeRows nodes={children} label={`In ${path}`} shown={shown} onShow={onShow} />}
    </li>
  );
}

/** How many files were added, removed and changed. */
export function Counts(props: { readonly counts: ChangeCounts }): ReactElement {
  const { added, removed, changed } = props.counts;
  return (
    <span className={styles.counts}>
      {added > 0 && <span data-change="added">{added} added</span>}
      {removed > 0 && <span data-change="removed">{removed} removed</span>}
      {changed > 0 && <span data-change="changed">{changed} changed</span>}
    </span>
  );
}

function Sizes(props: { readonly change: FileChange }): ReactElement | null {
  const { sizeBefore, sizeAfter } = props.change;
  if (sizeBefore === null && sizeAfter === null) return null;
  const sizes = [sizeBefore, sizeAfter].filter((size) => size !== null);
  const shown = sizes[0] === sizes[1] ? sizes.slice(1) : sizes;
  return <span className="dim">{shown.map(formatBytes).join(' → ')}</span>;
}
