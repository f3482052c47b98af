import { Button } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconRefresh } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { HostCheck } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { count } from '../format.ts';
import { useMachine } from '../live-cache.ts';
import { Copyable } from '../ui/copyable.tsx';
import { type Icon, StateIcon, type Tone } from '../ui/feedback/state-mark.tsx';
import styles from './machine-page.module.css';

const MARKS: Readonly<Record<HostCheck['state'], { readonly tone: Tone; readonly icon: Icon; readonly word: string }>> = {
  ok: { tone: 'ok', icon: IconCircleCheck, word: 'Fine' },
  warning: { tone: 'warn', icon: IconAlertTriangle, word: 'Warning' },
  error: { tone: 'bad', icon: IconCircleX, word: 'Error' },
};
const ORDER = ['error', 'warning', 'ok'] as const;
const ACCELERATORS = { kvm: 'KVM (hardware)', tcg: 'emulation (slow)', unknown: 'not known yet' } as const;

function Check(props: { readonly check: HostCheck }): ReactElement {
  const { check } = props;
  const mark = MARKS[check.state];
  return (
    <li className={styles.check}>
      <StateIcon tone={mark.tone} icon={mark.icon} label={mark.word} size={16} />
      <div className={styles.text}>
        <h2>{check.title}</h2>
        <p className="dim">{check.detail}</p>
        {check.remedy !== null && <p>{check.remedy}</p>}
        {check.command !== null && (
          <p className={styles.command}>
            <Copyable text={check.command} what="command" />
          </p>
        )}
      </div>
    </li>
  );
}

/** What this machine can and cannot do, and how to fix it. */
export function MachinePage(): ReactElement {
  const machine = useMachine();
  const call = useCall();
  const [checking, setChecking] = useState(false);
  async function check(): Promise<void> {
    setChecking(true);
    await call('Could not check the machine', (client) => client.machine.check());
    setChecking(false);
  }
  const checks = machine?.checks ?? [];
  const bad = checks.filter((one) => one.state !== 'ok').length;
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <div>
          <h1>Machine checks</h1>
          <p className="dim">
            {machine === undefined
              ? 'Checking…'
              : bad === 0
                ? 'Everything that environments need is here.'
                : `${count(bad, 'thing')} to look at.`}
          </p>
        </div>
        <Button leftSection={<IconRefresh size={16} stroke={1.6} />} loading={checking} onClick={() => void check()}>
          Check again
        </Button>
      </header>
      {machine !== undefined && (
        <dl className={styles.facts}>
          <div>
            <dt>Acceleration</dt>
            <dd>{ACCELERATORS[machine.accelerator]}</dd>
          </div>
          <div>
            <dt>Processors</dt>
            <dd>{machine.cpus}</dd>
          </div>
          <div>
            <dt>Memory free</dt>
            <dd>
              {formatBytes(machine.memoryFree)} <span className="faint">of {formatBytes(machine.memoryTotal)}</span>
            </dd>
          </div>
          <div>
            <dt>Disk free</dt>
            <dd>{formatBytes(machine.diskFree)}</dd>
          </div>
        </dl>
      )}
      <ul className={styles.list} aria-label="Checks">
        {ORDER.flatMap((state) => checks.filter((one) => one.state === state)).map((one) => (
          <Check key={one.id} check={one} />
        ))}
      </ul>
    </div>
  );
}
