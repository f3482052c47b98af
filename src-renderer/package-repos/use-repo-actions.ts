import { IconCopy, IconFolderOpen, IconListCheck, IconRefresh, IconShieldCheck, IconStack2, IconTrash } from '@tabler/icons-react';
import type { StoredRepoState } from '../../src-shared/repos/repo-store-state.ts';
import { useCall } from '../engine-context.ts';
import { useOpenUser } from '../environments/use-open-user.ts';
import { useUnreachable } from '../live-cache.ts';
import { useWorkActions } from '../tasks/use-work-actions.ts';
import { copyText } from '../ui/copy-text.ts';
import type { Action } from '../ui/menu/action.ts';
import { useWindow } from '../window-state.ts';
import { type RepoWork, removeBlocked } from './repo-status.ts';

/** The actions of one repository, for its row's buttons, kebab menu and context menu. */
export function useRepoActions(
  onRemove: (repo: StoredRepoState) => void,
): (repo: StoredRepoState, work: RepoWork | undefined, shared: boolean) => readonly Action[] {
  const call = useCall();
  const openUser = useOpenUser();
  const { dispatch } = useWindow();
  const workActions = useWorkActions();
  const unreachable = useUnreachable();

  function idle(repo: StoredRepoState): readonly Action[] {
    const { name, origin } = repo;
    const taken = repo.operation !== null || repo.elsewhere !== null ? 'It is being worked on' : undefined;
    const unknown = origin === null ? 'Its file is not known: sync from the file once' : undefined;
    const sync = (verify: boolean): void =>
      void call(`Could not synchronise ${name}`, (client) => client.repos.syncStored({ names: [name], verify }));
    return [
      { id: 'sync', label: 'Sync', icon: IconRefresh, button: true, blocked: unreachable ?? taken ?? unknown, run: () => sync(false) },
      {
        id: 'verify',
        label: 'Sync, comparing every file',
        icon: IconShieldCheck,
        blocked: unreachable ?? taken ?? unknown,
        run: () => sync(true),
      },
      {
        id: 'remove',
        label: 'Remove…',
        icon: IconTrash,
        danger: true,
        blocked: unreachable ?? taken ?? removeBlocked(repo),
        run: () => onRemove(repo),
      },
    ];
  }

  /** `shared`: pausing and cancelling concern other repositories too. */
  function busy({ operation }: RepoWork, name: string, shared: boolean): readonly Action[] {
    const actions = workActions(operation, name).map((action) => ({
      ...action,
      label: shared ? `${action.label} all` : action.label,
      button: true,
    }));
    const show = (): void => dispatch({ type: 'dock', open: true, view: 'tasks' });
    return [...actions, { id: 'task', label: 'Show its task', icon: IconListCheck, run: show }];
  }

  return (repo, work, shared) => {
    const { name, path, source, usedBy } = repo;
    return [
      ...(work === undefined ? idle(repo) : busy(work, name, shared)),
      {
        id: 'show',
        label: 'Open folder',
        icon: IconFolderOpen,
        button: true,
        group: true,
        blocked: unreachable,
        run: () => void call(`Could not show ${path}`, (client) => client.repos.show({ name })),
      },
      ...usedBy
        .slice(0, 8)
        .map((user): Action => ({ id: `open ${user.path}`, label: `Open ${user.name}`, icon: IconStack2, run: () => openUser(user) })),
      { id: 'copy-name', label: 'Copy name', icon: IconCopy, group: true, run: () => void copyText(name) },
      { id: 'copy-path', label: 'Copy path', icon: IconCopy, run: () => void copyText(path) },
      ...(source === '' ? [] : [{ id: 'copy-source', label: 'Copy address', icon: IconCopy, run: () => void copyText(source) }]),
    ];
  };
}
