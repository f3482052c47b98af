import { IconPlayerPlay } from '@tabler/icons-react';
import type { KeyboardEvent, ReactElement } from 'react';
import type { ScriptRun, VmDeploy } from '../../src-shared/deploy.ts';
import { formatClock, formatDuration } from '../format.ts';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import { rowSibling } from '../ui/row-sibling.ts';
import table from '../ui/table.module.css';
import styles from './deploy-view.module.css';
import { scriptStatus } from './script-status.ts';

/** A script of a VM, by its position. */
export interface Chosen {
  readonly vm: string;
  readonly index: number;
}

interface RowProps {
  readonly vm: string;
  readonly script: ScriptRun;
  readonly first: boolean;
  readonly selected: boolean;
  readonly blocked: string | undefined;
  readonly onSelect: () => void;
  readonly onRun: () => void;
}

/** How long a script runs or ran. */
function Took(props: { readonly script: ScriptRun }): ReactElement {
  const { startedAt, endedAt, state } = props.script;
  const now = useNow(state === 'running');
  if (startedAt === null) return <span className="faint">–</span>;
  const end = endedAt ?? (state === 'running' ? now : startedAt);
  return <span title={`Began ${formatClock(startedAt, now)}`}>{formatDuration(end - startedAt)}</span>;
}

function Row(props: RowProps): ReactElement {
  const { vm, script, blocked } = props;
  const status = scriptStatus(script);

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget) return;
    const sibling = rowSibling(event);
    if (sibling !== undefined) sibling.focus();
    else if (event.key === 'Enter' || event.key === ' ') props.onSelect();
    else return;
    event.preventDefault();
  }

  return (
    <tr
      aria-label={`${script.name} on ${vm}`}
      data-selected={props.selected}
      tabIndex={props.selected ? 0 : -1}
      onClick={props.onSelect}
      onFocus={(event) => {
        if (event.target === event.currentTarget) props.onSelect();
      }}
      onKeyDown={onKeyDown}
    >
      <td className="mono">{props.first ? vm : <span className="hidden-visually">{vm}</span>}</td>
      <td className={`${styles.script} mono`} title={script.name}>
        {script.name}
      </td>
      <td className={styles.state}>
        <StateMark tone={status.tone} icon={status.icon} spin={status.spin === true}>
          {status.word}
        </StateMark>
      </td>
      <td className={table.number}>
        <Took script={script} />
      </td>
      <td className={table.actions}>
        <IconButton
          label={`Run again from ${script.name} on ${vm}`}
          tip={blocked ?? 'Run again from here'}
          icon={IconPlayerPlay}
          disabled={blocked !== undefined}
          onClick={props.onRun}
        />
      </td>
    </tr>
  );
}

/** The scripts of all VMs in their order. The selected row's output is shown elsewhere; arrows move. */
export function ScriptTable(props: {
  readonly deploy: readonly VmDeploy[];
  readonly selected: Chosen | undefined;
  readonly blocked: (vm: string) => string | undefined;
  readonly onSelect: (chosen: Chosen) => void;
  readonly onRunFrom: (chosen: Chosen) => void;
}): ReactElement {
  const { deploy, selected } = props;
  return (
    <table className={`${table.table} ${table.rows}`} aria-label="Deploy scripts">
      <thead>
        <tr>
          <th>VM</th>
          <th>Script</th>
          <th>State</th>
          <th className={table.number}>Took</th>
          <th>
            <span className="hidden-visually">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {deploy.flatMap(({ vm, scripts }) =>
          scripts.map((script, index) => (
            <Row
              key={`${vm} ${String(index)}`}
              vm={vm}
              script={script}
              first={index === 0}
              selected={selected?.vm === vm && selected.index === index}
              blocked={props.blocked(vm)}
              onSelect={() => props.onSelect({ vm, index })}
              onRun={() => props.onRunFrom({ vm, index })}
            />
          )),
        )}
      </tbody>
    </table>
  );
}
