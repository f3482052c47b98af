import { Button, Checkbox, NativeSelect } from '@mantine/core';
import { IconArrowDown, IconHistory } from '@tabler/icons-react';
import { type ReactElement, type ReactNode, useDeferredValue, useMemo, useRef, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import { dayOf } from '../format.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { RowTable } from '../ui/rows/row-table.tsx';
import { SearchField } from '../ui/search-field.tsx';
import { type AccessFilter, type AccessLine, endingOf, filterAccesses, NO_VM, shownPath } from './access-lines.ts';
import styles from './packages.module.css';
import type { Accesses } from './use-accesses.ts';

const COLUMNS = ['Time', 'VM', 'Result', 'Path', 'Sent', 'Took'] as const;
const WIDTHS = '64px minmax(64px, 104px) 124px minmax(160px, 1fr) 64px 56px';
const ALL: AccessFilter = { vm: '', text: '', failed: false };

function cells({ access }: AccessLine): readonly ReactNode[] {
  const { time, vm, client, status, path, range, bytes, milliseconds } = access;
  const at = new Date(time);
  const ending = endingOf(status);
  const asked = shownPath(path);
  const name = asked.lastIndexOf('/', asked.length - 2) + 1;
  return [
    <time key="time" dateTime={time} title={`${dayOf(at.getTime())} ${at.toLocaleTimeString('en-GB')}`} className="dim">
      {at.toLocaleTimeString('en-GB')}
    </time>,
    vm === null ? <span className="mono faint">{client}</span> : vm,
    <StateMark key="result" tone={ending.tone} icon={ending.icon}>
      {status} {ending.word}
    </StateMark>,
    <span key="path" className={styles.asked} title={range === null ? asked : `${asked}, ${range}`}>
      <span className={styles.askedFolder}>{asked.slice(0, name)}</span>
      <span className={styles.askedName}>{asked.slice(name)}</span>
    </span>,
    <span key="bytes" className="dim">
      {bytes === 0 ? '–' : formatBytes(bytes)}
    </span>,
    <span key="took" className="dim">
      {milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms
    </span>,
  ];
}

/** Who fetched what, live: the newest last, in sight while the user has not scrolled away. */
export function AccessLog(props: { readonly vms: readonly string[]; readonly accesses: Accesses }): ReactElement {
  const { lines, problem } = props.accesses;
  const [filter, setFilter] = useState(ALL);
  const [behind, setBehind] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const wanted = useDeferredValue(filter);
  const shown = useMemo(() => filterAccesses(lines, wanted), [lines, wanted]);
  const change = (part: Partial<AccessFilter>): void => setFilter({ ...filter, ...part });
  // Of VMs that are gone, what they fetched is still there.
  const vms = useMemo(() => [...new Set([...props.vms, ...lines.flatMap(({ access }) => access.vm ?? [])])], [props.vms, lines]);

  if (lines.length === 0 && problem === undefined) {
    return (
      <Empty
        compact
        icon={IconHistory}
        title="Nothing was fetched yet"
        body="Each file that a VM fetches from the package server appears here at once."
      />
    );
  }
  return (
    <div className={styles.list} ref={box}>
      <div className={styles.tools}>
        <SearchField
          label="Search the requests"
          placeholder="Path, address or result"
          value={filter.text}
          onChange={(text) => change({ text })}
        />
        <NativeSelect
          aria-label="Requests of"
          value={filter.vm}
          data={[{ value: '', label: 'All VMs' }, ...vms.map((vm) => ({ value: vm, label: vm })), { value: NO_VM, label: 'Others' }]}
          onChange={(event) => change({ vm: event.currentTarget.value })}
        />
        <Checkbox
          size="xs"
          classNames={{ body: styles.check ?? '' }}
          label="Failed only"
          checked={filter.failed}
          onChange={(event) => change({ failed: event.currentTarget.checked })}
        />
        <span className={styles.space} />
        {behind && (
          <Button
            size="compact-xs"
            variant="subtle"
            leftSection={<IconArrowDown size={14} stroke={1.8} />}
            onClick={() => {
              const table = box.current?.querySelector('[role="table"]');
              table?.scrollTo({ top: table.scrollHeight });
            }}
          >
            To the newest
          </Button>
        )}
        <span className="faint nowrap">{shown.length === lines.length ? lines.length : `${shown.length} of ${lines.length}`}</span>
      </div>
      {problem !== undefined && <p role="alert">The requests cannot be read: {problem}</p>}
      <RowTable
        label="Requests"
        columns={COLUMNS}
        widths={WIDTHS}
        rows={shown}
        keyOf={({ number }) => number}
        cells={cells}
        follow={(atEnd) => setBehind(!atEnd)}
        empty={<p className={styles.none}>No request fits.</p>}
      />
    </div>
  );
}
