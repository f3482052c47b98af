import {
  IconArrowBackUp,
  IconBinaryTree,
  IconCopy,
  IconFileExport,
  IconGitCompare,
  IconGitFork,
  IconPencil,
  IconPin,
  IconPinnedOff,
  IconTrash,
} from '@tabler/icons-react';
import { branchOf } from '../../src-shared/snapshot/snapshot-tree.ts';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { count } from '../format.ts';
import { copyText } from '../ui/copy-text.ts';
import type { Action } from '../ui/menu/action.ts';
import { filesProblem, forkProblem } from './point-facts.ts';

/** What the actions on a snapshot do. */
export interface PointCommands {
  revert(name: string): void;
  fork(name: string): void;
  compare(name: string): void;
  export(name: string): void;
  pin(name: string, pinned: boolean): void;
  edit(name: string): void;
  remove(name: string): void;
  removeBranch(name: string): void;
}

/** The actions on a snapshot, the same list for its menus, buttons and keys. `blocked`: why nothing can be changed now. */
export function pointActions(
  snapshot: SnapshotState,
  snapshots: readonly SnapshotState[],
  blocked: string | undefined,
  commands: PointCommands,
): readonly Action[] {
  const { name, pinned } = snapshot;
  const branch = branchOf(snapshots, name).length;
  return [
    {
      id: 'revert',
      label: `Revert ${count(Object.keys(snapshot.vms).length, 'VM')}`,
      icon: IconArrowBackUp,
      blocked: blocked ?? filesProblem(snapshot),
      run: () => commands.revert(name),
    },
    {
      id: 'fork',
      label: 'Fork…',
      icon: IconGitFork,
      blocked: blocked ?? forkProblem(snapshot),
      run: () => commands.fork(name),
    },
    {
      id: 'compare',
      label: 'Compare…',
      icon: IconGitCompare,
      blocked: snapshot.kind === 'internal' ? 'It is inside the disks’ files, where it cannot be read' : undefined,
      run: () => commands.compare(name),
    },
    {
      id: 'export',
      label: 'Export…',
      icon: IconFileExport,
      blocked: blocked ?? forkProblem(snapshot),
      run: () => commands.export(name),
    },
    {
      id: 'pin',
      label: pinned ? 'Unpin' : 'Pin',
      icon: pinned ? IconPinnedOff : IconPin,
      group: true,
      blocked,
      run: () => commands.pin(name, !pinned),
    },
    { id: 'edit', label: 'Name, note and tags…', icon: IconPencil, blocked, run: () => commands.edit(name) },
    { id: 'copy-name', label: 'Copy name', icon: IconCopy, run: () => void copyText(name) },
    { id: 'remove', label: 'Delete…', icon: IconTrash, danger: true, group: true, blocked, run: () => commands.remove(name) },
    ...(branch > 1
      ? [
          {
            id: 'remove-branch',
            label: `Delete with what came from it (${branch})…`,
            icon: IconBinaryTree,
            danger: true,
            blocked,
            run: () => commands.removeBranch(name),
          },
        ]
      : []),
  ];
}
