import { IconCopy, IconDownload, IconShieldCheck, IconStack2, IconTrash } from '@tabler/icons-react';
import type { OperationState } from '../../src-shared/operation.ts';
import type { TemplateVersionState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { useOpenUser } from '../environments/use-open-user.ts';
import { isRunning, useUnreachable } from '../live-cache.ts';
import { useWorkActions } from '../tasks/use-work-actions.ts';
import { copyText } from '../ui/copy-text.ts';
import type { Action } from '../ui/menu/action.ts';
import { evictBlocked } from './catalogue.ts';

/** The actions of one version, for its row's buttons, kebab menu and context menu. The one most relevant to its state comes first. */
export function useVersionActions(
  store: string,
  onEvict: (version: TemplateVersionState) => void,
): (version: TemplateVersionState, operation: OperationState | undefined) => readonly Action[] {
  const call = useCall();
  const openUser = useOpenUser();
  const work = useWorkActions();
  const blocked = useUnreachable();

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
      ...(operation !== undefined && isRunning(operation) ? work(operation, version.fullName) : idle(version)),
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
