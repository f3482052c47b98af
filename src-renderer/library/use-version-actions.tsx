import {
  IconCopy,
  IconDownload,
  IconPlayerPause,
  IconPlayerPlay,
  IconShieldCheck,
  IconStack2,
  IconTrash,
  IconX,
} from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import type { OperationState } from '../../src-shared/operation.ts';
import type { TemplateVersionState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { isRunning, readPrefixes, useUnreachable } from '../live-cache.ts';
import { copyText } from '../ui/copy-text.ts';
import type { Action } from '../ui/menu/action.ts';
import { useWindow } from '../window-state.ts';
import { evictBlocked } from './catalogue.ts';

type EnvironmentUser = TemplateVersionState['usedBy'][number];

/** Shows an environment that uses a template, adding it to the list if necessary. */
export function useOpenUser(): (user: EnvironmentUser) => void {
  const cache = useQueryClient();
  const call = useCall();
  const { dispatch } = useWindow();
  return (user) => {
    const known = readPrefixes(cache).find((prefix) => prefix.path === user.path);
    if (known !== undefined) {
      dispatch({ type: 'show', page: { kind: 'environment', id: known.id } });
      return;
    }
    void call(`Could not open ${user.name}`, (client) => client.prefix.open({ path: user.path })).then((answer) => {
      const [id] = answer?.prefixes ?? [];
      if (id !== undefined) dispatch({ type: 'show', page: { kind: 'environment', id } });
    });
  };
}

/** The actions of one version, for its row's buttons, kebab menu and context menu. The one most relevant to its state comes first. */
export function useVersionActions(
  store: string,
  onEvict: (version: TemplateVersionState) => void,
): (version: TemplateVersionState, operation: OperationState | undefined) => readonly Action[] {
  const call = useCall();
  const openUser = useOpenUser();
  const blocked = useUnreachable();

  function work(version: TemplateVersionState, operation: OperationState): readonly Action[] {
    const { id, label, paused, status } = operation;
    const cancelling = status === 'cancelling' ? 'It is being cancelled' : undefined;
    const cancel: Action = {
      id: 'cancel',
      label: 'Cancel',
      icon: IconX,
      blocked: blocked ?? cancelling,
      run: () => void call(`Could not cancel “${label}”`, (client) => client.operation.cancel({ operation: id })),
    };
    if (paused === undefined) return [cancel];
    return [
      paused
        ? {
            id: 'resume',
            label: 'Resume',
            icon: IconPlayerPlay,
            blocked: blocked ?? cancelling,
            run: () => void call(`Could not resume ${version.fullName}`, (client) => client.operation.resume({ operation: id })),
          }
        : {
            id: 'pause',
            label: 'Pause',
            icon: IconPlayerPause,
            blocked: blocked ?? cancelling,
            run: () => void call(`Could not pause ${version.fullName}`, (client) => client.operation.pause({ operation: id })),
          },
      cancel,
    ];
  }

  function idle(version: TemplateVersionState): readonly Action[] {
    const template = version.fullName;
    if (!version.cached) {
      const download: Action = {
        id: 'download',
        label: version.moving ? 'Download newest' : 'Download',
        icon: IconDownload,
        blocked,
        run: () => void call(`Could not download ${template}`, (client) => client.library.fetch({ template })),
      };
      return [download];
    }
    return [
      {
        id: 'verify',
        label: 'Verify',
        icon: IconShieldCheck,
        blocked,
        run: () => void call(`Could not verify ${template}`, (client) => client.library.verify({ template })),
      },
      {
        id: 'evict',
        label: 'Evict…',
        icon: IconTrash,
        danger: true,
        blocked: blocked ?? evictBlocked(version),
        run: () => onEvict(version),
      },
    ];
  }

  return (version, operation) => {
    const { from } = version;
    return [
      ...(operation !== undefined && isRunning(operation) ? work(version, operation) : idle(version)),
      ...version.usedBy.slice(0, 8).map(
        (user, index): Action => ({
          id: `open ${user.path}`,
          label: `Open ${user.name}`,
          icon: IconStack2,
          group: index === 0,
          run: () => openUser(user),
        }),
      ),
      { id: 'copy-name', label: 'Copy name', icon: IconCopy, group: true, run: () => void copyText(version.fullName) },
      ...(version.cached
        ? [{ id: 'copy-path', label: 'Copy path', icon: IconCopy, run: () => void copyText(`${store}/${version.fullName}`) }]
        : []),
      ...(from === null ? [] : [{ id: 'copy-source', label: 'Copy source address', icon: IconCopy, run: () => void copyText(from) }]),
    ];
  };
}
