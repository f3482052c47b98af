import {
  IconAlertTriangle,
  IconCheck,
  IconCircleFilled,
  IconCircleX,
  IconLoader2,
  IconPlugConnectedX,
  IconServer2,
} from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import { machineName, parseMachineAddress } from '../../src-shared/host/machine-address.ts';
import type { OperationState } from '../../src-shared/operation.ts';
import type { HostSummary } from '../../src-shared/state.ts';
import { dots, formatFraction } from '../format.ts';
import { isRunning, useConnection, useMachine, useOperations, usePrefix } from '../live-cache.ts';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { Tip } from '../ui/feedback/tip.tsx';
import { useNowUntil } from '../ui/hooks/use-now.ts';
import { useWindow } from '../window-state.ts';
import styles from './status-bar.module.css';

const ACCELERATORS = { kvm: 'KVM', tcg: 'emulation', unknown: null } as const;
const RECENT = 8_000;

/** What the middle shows: a running operation, else a failed one, else one that has just ended. */
function pick(operations: readonly OperationState[], now: number): OperationState | undefined {
  return (
    operations.findLast(isRunning) ??
    operations.findLast((operation) => operation.status === 'failed') ??
    operations.findLast((operation) => operation.status === 'succeeded' && now - (operation.endedAt ?? 0) < RECENT)
  );
}

function Work(props: { readonly operations: readonly OperationState[]; readonly onClick: () => void }): ReactElement | null {
  const { operations } = props;
  const now = useNowUntil(Math.max(0, ...operations.map((operation) => operation.endedAt ?? 0)) + RECENT);
  const shown = pick(operations, now);
  if (shown === undefined) return null;
  const running = operations.filter(isRunning).length;
  return (
    <button type="button" className={styles.item} onClick={props.onClick}>
      <span className="hidden-visually">Tasks: </span>
      {isRunning(shown) && <IconLoader2 size={14} stroke={2} className={styles.spin ?? ''} />}
      {shown.status === 'failed' && <IconCircleX size={14} stroke={2} className={styles.bad ?? ''} />}
      {shown.status === 'succeeded' && <IconCheck size={14} stroke={2} className={styles.ok ?? ''} />}
      <span className="ellipsis">
        {shown.status === 'failed' && 'Failed: '}
        {shown.status === 'cancelling' && 'Cancelling: '}
        {shown.label}
      </span>
      {isRunning(shown) && (
        <>
          <ProgressBar fraction={shown.fraction} label={shown.label} width={72} />
          <span className={styles.percent}>{formatFraction(shown.fraction)}</span>
        </>
      )}
      {running > 1 && <span className="faint">and {running - 1} more</span>}
    </button>
  );
}

const HOST_TONES = { up: styles.ok, down: styles.off, unusable: styles.warn } as const;

/** Where an environment's VMs run. */
function hostName({ kind, uri }: HostSummary): string {
  if (kind === 'system') return 'System libvirt';
  const address = kind === 'remote' ? parseMachineAddress(uri) : undefined;
  return address === undefined ? 'Embedded host' : `Host on ${machineName(address)}`;
}

/** The bottom line: where VMs run, free space, the current operation, and what needs attention. */
export function StatusBar(): ReactElement {
  const { state, dispatch } = useWindow();
  const machine = useMachine();
  const connection = useConnection();
  const operations = useOperations();
  const prefix = usePrefix(state.page.kind === 'environment' ? state.page.id : undefined);
  const kind = prefix === undefined ? 'Embedded host' : hostName(prefix.host);
  const accelerator =
    ACCELERATORS[
      prefix === undefined || prefix.host.accelerator === 'unknown' ? (machine?.accelerator ?? 'unknown') : prefix.host.accelerator
    ];
  const errors = machine?.checks.filter((check) => check.state === 'error').length ?? 0;
  const warnings = machine?.checks.filter((check) => check.state === 'warning').length ?? 0;
  const attention = dots(
    errors > 0 && `${errors} ${errors === 1 ? 'error' : 'errors'}`,
    warnings > 0 && `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`,
  );
  return (
    <footer className={styles.bar} aria-label="Status">
      {connection.status === 'lost' ? (
        <span className={styles.label} data-tone="bad">
          <IconPlugConnectedX size={14} stroke={1.8} />
          Engine not connected
        </span>
      ) : (
        <Tip label={prefix === undefined ? 'Each environment gets a private libvirt of its own' : (prefix.host.problem ?? prefix.host.uri)}>
          <span className={styles.label} tabIndex={-1}>
            {prefix === undefined ? (
              <IconServer2 size={14} stroke={1.6} />
            ) : (
              <IconCircleFilled size={10} className={HOST_TONES[prefix.host.status] ?? ''} />
            )}
            {dots(kind, accelerator, prefix?.host.status === 'down' && 'off', prefix?.host.status === 'unusable' && 'reconnecting…')}
          </span>
        </Tip>
      )}
      {machine !== undefined && (
        <>
          <span className={`${styles.label} ${styles.room}`}>
            <span className="faint">Memory</span> {formatBytes(machine.memoryFree)} free
          </span>
          <span className={`${styles.label} ${styles.room}`}>
            <span className="faint">Disk</span> {formatBytes(machine.diskFree)} free
          </span>
        </>
      )}
      <span className={styles.space} />
      <Work operations={operations} onClick={() => dispatch({ type: 'dock', open: true, view: 'tasks' })} />
      {attention !== '' && (
        <button
          type="button"
          className={styles.item}
          onClick={() => dispatch({ type: 'show', page: { kind: 'machine' } })}
          aria-label={`Machine checks: ${attention}`}
        >
          <IconAlertTriangle size={14} stroke={1.8} className={(errors > 0 ? styles.bad : styles.warn) ?? ''} />
          {attention}
        </button>
      )}
    </footer>
  );
}
