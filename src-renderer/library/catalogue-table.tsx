import { IconArrowDown, IconArrowUp, IconChevronRight, IconFold, IconFoldDown } from '@tabler/icons-react';
import { type KeyboardEvent, memo, type ReactElement, useState } from 'react';
import type { OperationState } from '../../src-shared/operation.ts';
import type { TemplateState, TemplateVersionState } from '../../src-shared/state.ts';
import { isRunning } from '../live-cache.ts';
import { type RowStatus, StatusCell } from '../ui/feedback/status-cell.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { type Action, type MenuPlace, menuPlace } from '../ui/menu/action.ts';
import { ActionMenu, ContextMenu } from '../ui/menu/action-menu.tsx';
import { moveRow } from '../ui/move-row.ts';
import table from '../ui/table.module.css';
import unfolding from '../ui/unfolding-row.module.css';
import { useWindow } from '../window-state.ts';
import { type CatalogueEntry, type CatalogueOrder, isFetchable, summaryOf } from './catalogue.ts';
import styles from './catalogue-table.module.css';
import { useVersionActions } from './use-version-actions.tsx';
import { FactCells } from './version-cells.tsx';
import { operationOn, templateStatus, versionStatus } from './version-status.ts';

/** Actions that are buttons as well as menu entries. */
const BUTTONS: ReadonlySet<string> = new Set(['download', 'pause', 'resume', 'cancel', 'verify', 'evict']);

const NONE: ReadonlyMap<string, OperationState> = new Map();

/** What all rows share. Its members must keep their identity, so that rows do not re-render. */
interface RowContext {
  readonly store: string;
  readonly now: number;
  readonly onOpen: (template: string, open: boolean) => void;
  readonly onEvict: (template: TemplateState, version: TemplateVersionState) => void;
}

function Actions(props: {
  readonly actions: readonly Action[];
  readonly what: string;
  readonly place: MenuPlace | null;
  readonly onClose: () => void;
}): ReactElement {
  const { actions, what } = props;
  return (
    <td className={table.actions} onClick={(event) => event.stopPropagation()}>
      <div className={table.actionRow}>
        {actions
          .filter((action) => BUTTONS.has(action.id))
          .map((action) => (
            <IconButton
              key={action.id}
              label={`${action.label.replace('…', '')} ${what}`}
              tip={action.blocked ?? action.label}
              icon={action.icon}
              disabled={action.blocked !== undefined}
              onClick={action.run}
            />
          ))}
        <ActionMenu label={`More for ${what}`} actions={actions} />
      </div>
      <ContextMenu label={`Actions for ${what}`} place={props.place} actions={actions} onClose={props.onClose} />
    </td>
  );
}

/** A status whose failure shows its task. */
function TaskStatus(props: { readonly status: RowStatus; readonly what: string }): ReactElement {
  const { dispatch } = useWindow();
  return (
    <StatusCell
      {...props}
      className={styles.state}
      failureShows="Click to show the task."
      onFailure={() => dispatch({ type: 'dock', open: true, view: 'tasks' })}
    />
  );
}

function sourceText(template: TemplateState, version: TemplateVersionState): string {
  if (version.from !== null) return version.from;
  return isFetchable(template, version) ? 'an earlier image of its vendor' : 'no repository has it any more';
}

const VersionRow = memo(function VersionRow(props: {
  readonly template: TemplateState;
  readonly version: TemplateVersionState;
  readonly operation: OperationState | undefined;
  readonly context: RowContext;
}): ReactElement {
  const { template, version, operation, context } = props;
  const [place, setPlace] = useState<MenuPlace | null>(null);
  const actions = useVersionActions(context.store, (one) => context.onEvict(template, one))(version, operation);
  const source = sourceText(template, version);

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'ArrowLeft') {
      let row = event.currentTarget.previousElementSibling;
      while (row !== null && row.getAttribute('aria-level') !== '1') row = row.previousElementSibling;
      if (row instanceof HTMLElement) row.focus();
    } else if (event.key === 'Enter' || event.key === 'Delete') {
      const action = actions.find((one) => one.id === (event.key === 'Enter' ? 'download' : 'evict'));
      if (action?.blocked === undefined) action?.run();
    } else if (!moveRow(event)) return;
    event.preventDefault();
  }

  return (
    <tr
      aria-label={version.fullName}
      aria-level={2}
      tabIndex={-1}
      data-menu={place !== null}
      className={styles.version}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => setPlace(menuPlace(event))}
    >
      <td className={styles.name}>
        <span className="mono ellipsis">{version.version}</span>
        <span className={styles.sub} title={source}>
          {source}
        </span>
      </td>
      <TaskStatus status={versionStatus(version, operation, context.now)} what={version.fullName} />
      <FactCells facts={version} now={context.now} />
      <Actions actions={actions} what={version.fullName} place={place} onClose={() => setPlace(null)} />
    </tr>
  );
});

function TemplateRow(props: {
  readonly entry: CatalogueEntry;
  readonly open: boolean;
  readonly operations: ReadonlyMap<string, OperationState>;
  readonly focusable: boolean;
  readonly context: RowContext;
}): ReactElement {
  const { entry, open, operations, context } = props;
  const { template, versions } = entry;
  const [place, setPlace] = useState<MenuPlace | null>(null);
  const actionsOf = useVersionActions(context.store, (one) => context.onEvict(template, one));
  // Operations on a version are shown in its own row once that is visible.
  const shown = open ? NONE : operations;
  const busy = versions.find((version) => {
    const operation = shown.get(version.fullName);
    return operation !== undefined && isRunning(operation);
  });
  const main = busy ?? versions[0];
  const all = main === undefined ? [] : actionsOf(main, operations.get(main.fullName));
  // With several versions, offer only actions that clearly refer to the newest one.
  const own = versions.length === 1 ? all : all.filter((one) => BUTTONS.has(one.id) && (busy !== undefined || one.id === 'download'));
  const toggle = (): void => context.onOpen(template.id, !open);
  const actions: readonly Action[] = [
    ...own,
    {
      id: 'versions',
      label: open ? 'Hide versions' : 'Show versions',
      icon: open ? IconFold : IconFoldDown,
      group: own.length > 0,
      run: toggle,
    },
  ];

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter' || event.key === ' ') toggle();
    else if (event.key === 'ArrowRight') context.onOpen(template.id, true);
    else if (event.key === 'ArrowLeft') context.onOpen(template.id, false);
    else if (!moveRow(event)) return;
    event.preventDefault();
  }

  return (
    <tr
      aria-label={template.id}
      aria-level={1}
      aria-expanded={open}
      tabIndex={props.focusable ? 0 : -1}
      data-menu={place !== null}
      className={styles.template}
      onClick={toggle}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => setPlace(menuPlace(event))}
    >
      <td className={styles.name}>
        <span className={unfolding.title}>
          <IconChevronRight size={14} stroke={1.8} className={unfolding.chevron ?? ''} data-open={open} />
          <span className="ellipsis">{template.title}</span>
          {template.cloudInit && (
            <span
              className={unfolding.tag}
              title="Takes its name, keys and password from cloud-init: ready without waiting for virt-sysprep"
            >
              cloud-init
            </span>
          )}
        </span>
        <span className={styles.sub} title={`${template.name} of the repository ${template.repository}`}>
          <span className="mono">{template.id}</span>
          {template.distro !== null && template.distro !== template.name && ` · ${template.distro}`}
        </span>
      </td>
      <TaskStatus status={templateStatus(versions, shown, context.now)} what={template.id} />
      <FactCells facts={summaryOf(versions)} now={context.now} />
      <Actions actions={actions} what={template.id} place={place} onClose={() => setPlace(null)} />
    </tr>
  );
}

const ORDERS: readonly { readonly order: CatalogueOrder; readonly title: string; readonly down: boolean }[] = [
  { order: 'name', title: 'Template', down: false },
  { order: 'size', title: 'Size', down: true },
  { order: 'used', title: 'Last used', down: true },
];

function OrderHeader(props: {
  readonly order: CatalogueOrder;
  readonly present: CatalogueOrder;
  readonly className?: string | undefined;
  readonly onOrder: (order: CatalogueOrder) => void;
}): ReactElement | null {
  const column = ORDERS.find((one) => one.order === props.order);
  if (column === undefined) return null;
  const active = props.order === props.present;
  const Arrow = column.down ? IconArrowDown : IconArrowUp;
  return (
    <th className={props.className} {...(active ? { 'aria-sort': column.down ? ('descending' as const) : ('ascending' as const) } : {})}>
      <button type="button" className={styles.order} data-active={active} onClick={() => props.onOrder(props.order)}>
        {column.title}
        <Arrow size={12} stroke={2} />
      </button>
    </th>
  );
}

/** Templates that unfold to their versions. Arrow keys move, fold and unfold; every action is also in the row's menus. */
export function CatalogueTable(props: {
  readonly entries: readonly CatalogueEntry[];
  readonly open: readonly string[];
  readonly operations: readonly OperationState[];
  readonly order: CatalogueOrder;
  readonly onOrder: (order: CatalogueOrder) => void;
  readonly context: RowContext;
}): ReactElement {
  const { entries, context, order, onOrder } = props;
  // Other operations must not re-render the rows.
  const relevant = props.operations.filter(({ kind }) => kind === 'fetch' || kind === 'verify' || kind === 'evict');
  return (
    <table className={`${table.table} ${table.rows} ${styles.table}`} role="treegrid" aria-label="Templates">
      <thead>
        <tr>
          <OrderHeader order="name" present={order} onOrder={onOrder} />
          <th className={styles.state}>State</th>
          <OrderHeader order="size" present={order} onOrder={onOrder} className={`${table.number} ${styles.size}`} />
          <th className={styles.published}>Published</th>
          <OrderHeader order="used" present={order} onOrder={onOrder} className={styles.used} />
          <th className={styles.usedBy}>Used by</th>
          <th className={styles.actions}>
            <span className="hidden-visually">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry, index) => {
          const operations = new Map(
            entry.versions.flatMap((version) => {
              const operation = operationOn(version, relevant);
              return operation === undefined ? [] : [[version.fullName, operation] as const];
            }),
          );
          const open = entry.unfold || props.open.includes(entry.template.id);
          return [
            <TemplateRow
              key={entry.template.id}
              entry={entry}
              open={open}
              operations={operations}
              focusable={index === 0}
              context={context}
            />,
            ...(open
              ? entry.versions.map((version) => (
                  <VersionRow
                    key={version.fullName}
                    template={entry.template}
                    version={version}
                    operation={operations.get(version.fullName)}
                    context={context}
                  />
                ))
              : []),
          ];
        })}
      </tbody>
    </table>
  );
}
